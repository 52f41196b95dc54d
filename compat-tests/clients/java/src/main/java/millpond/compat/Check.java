package millpond.compat;

import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

/** Assertions and bounded waits. */
final class Check {
    static final Duration LIMIT = Duration.ofSeconds(45);

    private Check() {
    }

    static void that(boolean truth, Object otherwise) {
        if (!truth) {
            throw new AssertionError(otherwise);
        }
    }

    static void equal(Object expected, Object actual) {
        that(Objects.equals(expected, actual), "expected " + expected + ", got " + actual);
    }

    /** Runs {@code call}, which must fail with this kind of exception (or be caused by one); gives it. */
    static <T extends Throwable> T fails(Class<T> kind, Callable<?> call) {
        Object got;
        try {
            got = call.call();
        } catch (Exception exception) {
            Throwable error = exception;
            while ((error instanceof ExecutionException || error instanceof CompletionException) && error.getCause() != null) {
                error = error.getCause();
            }
            if (kind.isInstance(error)) {
                return kind.cast(error);
            }
            throw new AssertionError("expected " + kind.getSimpleName() + ", got " + error, error);
        }
        throw new AssertionError("expected " + kind.getSimpleName() + ", got success: " + got);
    }

    /** Asks until the answer is true. What is asked may be a poll; if it does not wait itself, a short pause does. */
    static void until(String what, Callable<Boolean> asked) throws Exception {
        long deadline = System.nanoTime() + LIMIT.toNanos();
        while (!asked.call()) {
            that(System.nanoTime() < deadline, "not within " + LIMIT + ": " + what);
            Thread.sleep(10);
        }
    }
}
