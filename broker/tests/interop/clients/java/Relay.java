import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;

/** Carries the bytes of one connection to a server and back until it is closed. */
class Relay {
    private final ServerSocket listener = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
    private final Socket server;
    private volatile Socket client;

    Relay(InetSocketAddress address) throws IOException {
        server = new Socket(address.getAddress(), address.getPort());
        Interop.background(() -> {
            client = listener.accept();
            Interop.background(() -> copy(client, server));
            copy(server, client);
        });
    }

    InetSocketAddress address() {
        return new InetSocketAddress(InetAddress.getLoopbackAddress(), listener.getLocalPort());
    }

    private void copy(Socket from, Socket to) throws IOException {
        from.setTcpNoDelay(true);
        try {
            from.getInputStream().transferTo(to.getOutputStream());
        } finally {
            close();
        }
    }

    void close() throws IOException {
        server.close();
        listener.close();
        if (client != null) {
            client.close();
        }
    }
}
