// All walks, one after another in one process: they share the one sign-in that
// a one-time link gives, and change the same portal.
//
//   E2E_URL=http://127.0.0.1:8080 E2E_LINK=/login/link?token=... node --test host/web/e2e/walk.test.mjs
import "./portal.mjs";
import "./plugin.mjs";
