import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;

/** Carries the bytes of one connection after another to a server and back. */
class Relay {
    private final ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
    private volatile Socket client;

    Relay(InetSocketAddress server) throws IOException {
        Interop.background(() -> {
            while (true) {
                Socket near = listener.accept();
                Socket far = new Socket(server.getAddress(), server.getPort());
                Interop.background(() -> copy(near, far));
                Interop.background(() -> copy(far, near));
                client = near;
            }
        });
    }

    InetSocketAddress address() {
        return new InetSocketAddress(InetAddress.getLoopbackAddress(), listener.getLocalPort());
    }

    private static void copy(Socket from, Socket to) throws IOException {
        from.setTcpNoDelay(true);
        try (from; to) {
            from.getInputStream().transferTo(to.getOutputStream());
        }
    }

    /** Ends the connection that there is; both ends see it. */
    void cut() throws IOException {
        client.close();
    }
}
