import java.lang.reflect.InvocationTargetException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;

/**
 * Scenarios of MQTT 3.1.1 and 5.0 with the HiveMQ client against the broker at an address:
 *
 * <p>{@code Interop HOST:PORT [-SCENARIO...] [SCENARIO...]} runs all scenarios but those with a minus, or only those named
 * ({@code retained}, {@code 5.0/retained}). Prints {@code ok SCENARIO} or {@code FAILED SCENARIO: why} for each; exit code
 * 1 if any failed.
 */
class Interop {
    private static final List<String> BOTH = List.of("3.1.1", "5.0");
    private static final List<String> V5 = List.of("5.0");
    /** Names of methods of {@link Scenarios}. */
    private static final Map<String, List<String>> SCENARIOS = Map.ofEntries(
            Map.entry("connect", BOTH), Map.entry("qos0", BOTH), Map.entry("qos1", BOTH), Map.entry("qos2", BOTH),
            Map.entry("kept_session", BOTH), Map.entry("session_expires", V5), Map.entry("reconnect", BOTH), Map.entry("will", BOTH),
            Map.entry("no_will", BOTH), Map.entry("will_delay", V5), Map.entry("will_delay_cancelled", V5),
            Map.entry("retained", BOTH), Map.entry("retain_handling", V5), Map.entry("retain_as_published", V5),
            Map.entry("shared", V5), Map.entry("properties", V5), Map.entry("message_expiry", V5),
            Map.entry("queued_message_expires", V5), Map.entry("aliases_to_server", V5),
            Map.entry("aliases_to_client", V5), Map.entry("take_over", BOTH), Map.entry("large_payload", BOTH),
            Map.entry("receive_maximum", V5), Map.entry("unsubscribe", BOTH), Map.entry("no_local", V5));

    static void ensure(boolean met, String what) {
        if (!met) {
            throw new AssertionError(what);
        }
    }

    static void equal(Object seen, Object expected, String what) {
        ensure(seen.equals(expected), what + ": " + shortened(seen) + " instead of " + shortened(expected));
    }

    private static String shortened(Object value) {
        String text = String.valueOf(value);
        return text.length() > 600 ? text.substring(0, 600) + "..." : text;
    }

    interface Action {
        void run() throws Exception;
    }

    /** In a thread that holds up nobody; how it ends is not told. */
    static void background(Action action) {
        Thread thread = new Thread(() -> {
            try {
                action.run();
            } catch (Exception expected) {
                // The connection has ended, which whoever uses it sees.
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    private static String run(InetSocketAddress server, String version, String name) {
        String full = version + "/" + name;
        try {
            Scenarios.class.getDeclaredMethod(name).invoke(new Scenarios(server, version, name));
            return "ok " + full;
        } catch (InvocationTargetException error) {
            Throwable cause = error.getCause();
            String where = "";
            for (StackTraceElement element : cause.getStackTrace()) {
                if (element.getClassName().equals("Scenarios")) {
                    where = " in line " + element.getLineNumber();
                    break;
                }
            }
            return "FAILED " + full + ": " + cause + where;
        } catch (ReflectiveOperationException error) {
            return "FAILED " + full + ": " + error;
        }
    }

    public static void main(String[] words) throws Exception {
        int colon = words[0].lastIndexOf(':');
        var server = new InetSocketAddress(
                words[0].substring(0, colon), Integer.parseInt(words[0].substring(colon + 1)));
        List<String> without = new ArrayList<>();
        List<String> only = new ArrayList<>();
        for (String word : List.of(words).subList(1, words.length)) {
            (word.startsWith("-") ? without : only).add(word.startsWith("-") ? word.substring(1) : word);
        }
        List<Callable<String>> chosen = new ArrayList<>();
        SCENARIOS.forEach((name, versions) -> versions.forEach(version -> {
            String full = version + "/" + name;
            boolean wanted = only.isEmpty() || only.contains(name) || only.contains(full);
            if (wanted && !without.contains(name) && !without.contains(full)) {
                chosen.add(() -> run(server, version, name));
            }
        }));
        boolean failed = false;
        for (var line : Executors.newFixedThreadPool(chosen.size()).invokeAll(chosen)) {
            System.out.println(line.get());
            failed |= line.get().startsWith("FAILED");
        }
        // The library's threads go on otherwise.
        System.exit(failed ? 1 : 0);
    }
}
