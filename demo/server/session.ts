import type { Context, Hono } from "hono";
import { getSignedCookie, setSignedCookie } from "hono/cookie";
import { type DemoEnv, problem, readObject } from "./http.ts";
import { sessionKeyIn } from "./session-key.ts";

const COOKIE = "session";
const MAX_AGE_S = 30 * 24 * 60 * 60;
const MAX_NAME = 64;

export interface Sessions {
  /** Adds `POST /session {user}`. */
  addRoutes(api: Hono<DemoEnv>): void;
  /**
   * Who asks: the user who signed in last, or `?as=<user>` if that one signed in, too.
   *
   * A browser keeps one cookie of a name, yet the page shows two users side by side. So each user who signs in gets a
   * cookie of their own besides the current one, and a request may choose among them; never anybody else.
   *
   * @throws HTTPException 401
   */
  userOf(c: Context<DemoEnv>): Promise<string>;
}

/** Signed cookies: nobody can make one up, and neither a restart nor another server of the same folder signs anybody
 * out. There are no passwords: it is a demo. */
export function createSessions(dataDir: string): Sessions {
  const secret = sessionKeyIn(dataDir);

  const signIn = async (c: Context<DemoEnv>, user: string): Promise<void> => {
    const options = { path: "/", httpOnly: true, sameSite: "Strict", maxAge: MAX_AGE_S } as const;
    await setSignedCookie(c, COOKIE, user, secret, options);
    await setSignedCookie(c, cookieOf(user), user, secret, options);
  };

  return {
    addRoutes: (api) => {
      api.post("/session", async (c) => {
        const user = readUser(await readObject(c.req.raw));
        await signIn(c, user);
        return c.json({ user });
      });
    },

    userOf: async (c) => {
      const as = c.req.query("as");
      const user = await getSignedCookie(c, secret, as === undefined ? COOKIE : cookieOf(as));
      if (typeof user === "string" && (as === undefined || user === as)) return user;
      const who = as === undefined ? "sign in" : "sign in as that user";
      throw problem(401, `${who} first: POST /api/session with {"user": "name"}`);
    },
  };
}

/** A cookie's name has no room for every character that a user's may hold. */
function cookieOf(user: string): string {
  return `${COOKIE}.${Buffer.from(user).toString("base64url")}`;
}

function readUser({ user }: Record<string, unknown>): string {
  const name = typeof user === "string" ? user.trim() : "";
  if (name === "" || name.length > MAX_NAME || /[\p{Cc}\p{Cs}]/u.test(name)) {
    throw problem(400, `user must be a name of 1 to ${MAX_NAME} characters`);
  }
  return name;
}
