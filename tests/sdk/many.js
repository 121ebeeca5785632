// Reports twenty messages one after the other by the unmodified @sentry/node: many.js DSN.
const Sentry = require("@sentry/node");

Sentry.init({ dsn: process.argv[2] });
(async () => {
    for (let number = 0; number < 20; number += 1) {
        Sentry.captureMessage(`message ${number}`);
        await Sentry.flush(30000);
    }
})();
