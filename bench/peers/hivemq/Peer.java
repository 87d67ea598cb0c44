import com.hivemq.embedded.EmbeddedExtension;
import com.hivemq.embedded.EmbeddedHiveMQ;
import com.hivemq.extension.sdk.api.ExtensionMain;
import com.hivemq.extension.sdk.api.auth.SimpleAuthenticator;
import com.hivemq.extension.sdk.api.parameter.ExtensionStartInput;
import com.hivemq.extension.sdk.api.parameter.ExtensionStartOutput;
import com.hivemq.extension.sdk.api.parameter.ExtensionStopInput;
import com.hivemq.extension.sdk.api.parameter.ExtensionStopOutput;
import com.hivemq.extension.sdk.api.services.Services;
import java.nio.file.Path;

/** HiveMQ CE as a program: arguments are the folders of configuration, data and extensions. */
public class Peer {
    /** Without an extension that lets clients in, it refuses all of them. */
    public static class Welcome implements ExtensionMain {
        @Override
        public void extensionStart(ExtensionStartInput input, ExtensionStartOutput output) {
            final SimpleAuthenticator everybody = (in, out) -> out.authenticateSuccessfully();
            Services.securityRegistry().setAuthenticatorProvider(client -> everybody);
        }

        @Override
        public void extensionStop(ExtensionStopInput input, ExtensionStopOutput output) {}
    }

    public static void main(String[] folders) throws Exception {
        EmbeddedExtension welcome = EmbeddedExtension.builder()
                .withId("welcome").withName("welcome").withVersion("1").withExtensionMain(new Welcome()).build();
        EmbeddedHiveMQ.builder()
                .withConfigurationFolder(Path.of(folders[0]))
                .withDataFolder(Path.of(folders[1]))
                .withExtensionsFolder(Path.of(folders[2]))
                .withEmbeddedExtension(welcome)
                .build().start().join();
        Thread.currentThread().join();
    }
}
