// The page's composition: builds the panels, connects them to the live data, and redraws them each second.
// It knows everyone; nobody knows it. Panels get a view and draw it; only live.js and errors/ talk to the server.
import { serverNow } from "./clock.js";
import { BreakerHistory } from "./history.js";
import { Live } from "./live.js";
import { viewOf } from "./view.js";
import { session } from "./session.js";
import { ErrorList } from "./errors/list.js";
import { alertsPanel } from "./panels/alerts.js";
import { breakersPanel } from "./panels/breakers.js";
import { databasePanel } from "./panels/databases.js";
import { freshnessPanel } from "./panels/freshness.js";
import { ledgerPanel } from "./panels/ledger.js";
import { processPanel } from "./panels/process.js";
import { refusedPanel } from "./panels/refused.js";
import { requestsPanel } from "./panels/requests.js";
import { resetDialog } from "./panels/reset.js";
import { statusPanel } from "./panels/status.js";

const requests = requestsPanel();
const errors = new ErrorList();
const history = new BreakerHistory();
const panels = [
  freshnessPanel(), statusPanel(), alertsPanel(), refusedPanel(), breakersPanel(), requests.render,
  ledgerPanel(), processPanel(), databasePanel("app", "db-app"), databasePanel("events", "db-events"),
];

const live = new Live({
  state: () => {
    const view = current();
    if (!view.stale && view.link !== "signed-out") requests.sample(view);
    if (view.breakers.length) history.follow(view.breakers);
    draw(view);
  },
  error: (event) => errors.streamed(event),
  resume: () => errors.resume(),
  denied: (refused) => {
    errors.clear();
    access.ask(refused);
  },
});

async function restart() {
  await live.start();
  if (live.denied) return;
  errors.follow();
  access.welcome();
}

const access = session(restart);
resetDialog(current, () => live.poll());

function current() {
  return viewOf(live.picture, { link: live.link, ageMs: live.age(), breakerEvents: history.events }, serverNow());
}

/** One broken panel must not stop the others: each is drawn on its own. */
function draw(view) {
  for (const panel of panels) {
    try {
      panel(view);
    } catch (cause) {
      console.error(cause);
    }
  }
  errors.summarise(view);
}

setInterval(() => draw(current()), 1000);
restart();
