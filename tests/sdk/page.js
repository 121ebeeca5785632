// Reports a message and an error with its surroundings by the unmodified @sentry/browser, from a page of its own origin.
import * as Sentry from "@sentry/browser";

function pay() {
    try {
        JSON.parse("x");
    } catch (error) {
        throw new RangeError("no price for tea", { cause: error });
    }
}

window.report = async (dsn, mark) => {
    Sentry.init({ dsn, release: "shop@1.4.2", environment: "production" });
    Sentry.setUser({ id: 42, email: "ann@example.com" });
    Sentry.setTag("mark", mark);
    Sentry.addBreadcrumb({ category: "cart", message: "opened" });
    Sentry.captureMessage(`message ${mark}`, "warning");
    try {
        pay();
    } catch (error) {
        Sentry.captureException(error);
    }
    return Sentry.flush(30000);
};
