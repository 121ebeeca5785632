// Reports a message and an error with its surroundings by the unmodified @sentry/node: report.js DSN MARK.
const Sentry = require("@sentry/node");
const [dsn, mark] = process.argv.slice(2);

function pay() {
    try {
        JSON.parse("x");
    } catch (error) {
        throw new RangeError("no price for tea", { cause: error });
    }
}

Sentry.init({ dsn, release: "shop@1.4.2", environment: "production" });
Sentry.setUser({ id: 42, email: "ann@example.com" });
Sentry.setTag("mark", mark);
Sentry.addBreadcrumb({ category: "cart", message: "opened" });
// Large enough to be packed.
Sentry.setExtra("cart", Array.from({ length: 100 }, (_, number) => `item ${number} `.repeat(50)));
Sentry.captureMessage(`message ${mark}`, "warning");
try {
    pay();
} catch (error) {
    Sentry.captureException(error);
}
Sentry.flush(30000).then((sent) => process.exit(sent ? 0 : 1));
