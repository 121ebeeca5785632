// Signing in and out. The token goes to the server once and comes back as a cookie that scripts can't read; this page
// keeps nothing but the fact that somebody signed in, to offer signing out.
import { byId, setText, show } from "./dom.js";
import { signIn, signOut } from "./api.js";

const SIGNED_IN = "mainstay.signedIn";

// Storage may be forbidden; then the button to sign out is all that is missing.
function remembered(value) {
  try {
    if (value === undefined) return localStorage.getItem(SIGNED_IN) === "yes";
    if (value) localStorage.setItem(SIGNED_IN, "yes");
    else localStorage.removeItem(SIGNED_IN);
    return value;
  } catch {
    return value ?? false;
  }
}

/** Wires the form and the button; `restart()` is called after either, and asks the server anew. */
export function session(restart) {
  byId("signin-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit(restart);
  });
  byId("sign-out").addEventListener("click", async () => {
    const button = byId("sign-out");
    button.disabled = true;
    try {
      await signOut();
      remembered(false);
      restart();
    } catch (refusal) {
      setText(byId("announce"), `Not signed out. ${refusal.message}`);
    } finally {
      button.disabled = false;
    }
  });
  show(byId("sign-out"), remembered());
  return { ask, welcome };
}

async function submit(restart) {
  const field = byId("token");
  const button = byId("signin-form").querySelector("button");
  button.disabled = true;
  setText(byId("signin-error"), "");
  try {
    await signIn(field.value.trim());
    field.value = "";
    remembered(true);
    restart();
  } catch (refusal) {
    setText(byId("signin-error"), refusal.message);
    field.select();
  } finally {
    button.disabled = false;
  }
}

/** Shows the form, with the server's reason when it is more than "a token is needed". */
function ask(refused) {
  const explain = refused.status === 403 || remembered();
  setText(byId("signin-reason"), explain ? refused.message : "");
  show(byId("signin-reason"), explain);
  show(byId("signin"), true);
  show(byId("dashboard"), false);
  show(byId("sign-out"), remembered());
  byId("token").focus();
}

/** Shows the dashboard. */
function welcome() {
  show(byId("signin"), false);
  show(byId("dashboard"), true);
  show(byId("sign-out"), remembered());
}
