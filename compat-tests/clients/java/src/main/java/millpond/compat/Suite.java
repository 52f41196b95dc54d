package millpond.compat;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Runs every case against the broker at the address given, several at once; the last line counts them.
 *
 * <p>usage: Suite ADDRESS [WORD]; with WORD only the cases whose name contains it.
 */
public final class Suite {
    static final List<Class<?>> CLASSES = List.of(
        AdminCases.class, ConfigCases.class, MembershipCases.class, NameCases.class, OffsetCases.class, ProduceCases.class,
        ReadCases.class, RestoreCases.class, SnapshotCases.class, TopicCases.class);
    private static final int AT_ONCE = 6;

    /** What came of one case; no trouble means that it passed. */
    private record Outcome(String name, double seconds, Throwable trouble) {
    }

    private Suite() {
    }

    public static void main(String[] arguments) throws Exception {
        String word = arguments.length > 1 ? arguments[1] : "";
        var pool = Executors.newFixedThreadPool(AT_ONCE);
        int failed = 0;
        int passed = 0;
        try (var broker = new Broker(arguments[0])) {
            List<Future<Outcome>> outcomes = new ArrayList<>();
            for (Method method : cases(word)) {
                outcomes.add(pool.submit((Callable<Outcome>) () -> run(method, broker)));
            }
            for (Future<Outcome> future : outcomes) {
                Outcome outcome = future.get();
                show(outcome);
                if (outcome.trouble == null) {
                    passed++;
                } else {
                    failed++;
                }
            }
        }
        pool.shutdown();
        System.out.printf("%d passed, %d failed%n", passed, failed);
        System.exit(failed > 0 || passed == 0 ? 1 : 0);
    }

    private static List<Method> cases(String word) {
        var all = CLASSES.stream()
            .flatMap(type -> Arrays.stream(type.getDeclaredMethods()).sorted(Comparator.comparing(Method::getName)))
            .filter(method -> method.isAnnotationPresent(Case.class) && method.getName().contains(word))
            .toList();
        if (!Millpond.BINARY.isEmpty()) {
            return all;
        }
        System.out.println("MILLPOND_BIN names no broker: volumes are not tested");
        return all.stream().filter(method -> !isOfVolumes(method)).toList();
    }

    private static Outcome run(Method method, Broker broker) {
        long start = System.nanoTime();
        Throwable trouble = null;
        try {
            invoke(method, broker);
        } catch (InvocationTargetException exception) {
            trouble = exception.getCause();
        } catch (Exception exception) {
            trouble = exception;
        }
        return new Outcome(method.getName(), (System.nanoTime() - start) / 1e9, trouble);
    }

    private static void invoke(Method method, Broker broker) throws Exception {
        if (!isOfVolumes(method)) {
            method.invoke(null, broker);
            return;
        }
        try (var own = new Millpond()) {
            method.invoke(null, own);
        }
    }

    private static boolean isOfVolumes(Method method) {
        return method.getParameterTypes()[0] == Millpond.class;
    }

    private static void show(Outcome outcome) {
        System.out.printf("%-6s %s (%.1f s)%n", outcome.trouble == null ? "ok" : "FAILED", outcome.name, outcome.seconds);
        for (Throwable cause = outcome.trouble; cause != null; cause = cause.getCause()) {
            System.out.println("       " + cause);
            Arrays.stream(cause.getStackTrace())
                .filter(frame -> frame.getClassName().startsWith("millpond") && !frame.getClassName().endsWith("Suite"))
                .forEach(frame -> System.out.println("       at " + frame));
        }
    }
}
