package millpond.compat;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * A static method of a class in {@link Suite#CLASSES} that takes the {@link Broker} under test, or a {@link Millpond} of its
 * own. It makes its own topics and groups with random names, may run beside any other, and waits only for things that
 * happen, each wait with a limit.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.METHOD)
@interface Case {
}
