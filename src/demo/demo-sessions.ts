import type { Context } from 'koa';
import { LRUCache } from 'lru-cache';
import { equalSecrets, newSecret } from '../lib/ids.ts';
import type { DemoTokens, SignInAttempt } from './demo-client.ts';
import { fromText, toText } from './shared-sessions.ts';
import type { SessionStore } from './shared-sessions.ts';

/**
 * The demo's own sessions, in memory: tokens stay on the server, the browser holds a random cookie.
 * Bounded in number and age; they end with the process.
 */

export interface DemoSession {
  id: string;
  /** Goes into every form, so that another site cannot post them (the cookie alone would be sent along). */
  csrfToken: string;
  /** Sign-ins under way, by state; several tabs may each have one. */
  attempts: Map<string, SignInAttempt>;
  tokens: DemoTokens | undefined;
  /** A refresh under way: a second one with the same refresh token would look like theft. */
  refreshing: Promise<void> | undefined;
  /** What the last button did, for the page that follows it. */
  outcome: Outcome | undefined;
}

export type Outcome =
  | { kind: 'api'; status: number; body: string; challenge: string | null }
  | { kind: 'refreshed'; changes: { what: string; before: string; after: string; changed: boolean }[] };

const MAX_SESSIONS = 1000;
const MAX_ATTEMPTS = 5;
const TTL_MS = 8 * 3_600_000;

/** @param port cookies know none, and demos side by side on one host must not take each other's */
export function createDemoSessions({
  path,
  port,
  secure,
  store,
}: {
  path: string;
  port: string;
  secure: boolean;
  /** Where several processes serve the demo. */
  store?: SessionStore | undefined;
}) {
  const cookieName = `gatehouse_demo${port && `_${port}`}`;
  const sessions = new LRUCache<string, DemoSession>({ max: MAX_SESSIONS, ttl: TTL_MS });
  const attributes = { path, httpOnly: true, sameSite: 'lax', signed: false, overwrite: true } as const;

  function setCookie(ctx: Context, value: string | null): void {
    // The public URL decides, not this hop: behind a TLS proxy the connection itself is plain.
    ctx.cookies.secure = secure;
    ctx.cookies.set(cookieName, value, { ...attributes, secure });
  }

  function find(ctx: Context): DemoSession | undefined {
    const id = ctx.cookies.get(cookieName, { signed: false });
    return id === undefined ? undefined : sessions.get(id);
  }

  function begin(ctx: Context): DemoSession {
    const session: DemoSession = {
      id: newSecret(),
      csrfToken: newSecret(),
      attempts: new Map(),
      tokens: undefined,
      refreshing: undefined,
      outcome: undefined,
    };
    sessions.set(session.id, session);
    begunIn(ctx).push(session.id);
    setCookie(ctx, session.id);
    return session;
  }

  /** What another process did with the session since. */
  async function takeOver(id: string, shared: SessionStore): Promise<void> {
    if (sessions.get(id)?.refreshing) return;
    const text = await shared.get(id);
    if (text === undefined) sessions.delete(id);
    else sessions.set(id, fromText(text));
  }

  async function handOver(id: string, shared: SessionStore): Promise<void> {
    const session = sessions.get(id);
    await (session ? shared.set(id, toText(session)) : shared.delete(id));
  }

  return {
    find,

    /** Around every request: the next one may go to another process. */
    async shared(ctx: Context, next: () => Promise<unknown>): Promise<void> {
      if (!store) return void (await next());
      const id = ctx.cookies.get(cookieName, { signed: false });
      if (id !== undefined) await takeOver(id, store);
      try {
        await next();
      } finally {
        for (const touched of [...(id === undefined ? [] : [id]), ...begunIn(ctx)])
          await handOver(touched, store);
      }
    },

    /** Remembers a sign-in in the browser that began it; the oldest ones give way. */
    addAttempt(ctx: Context, attempt: SignInAttempt): void {
      const { attempts } = find(ctx) ?? begin(ctx);
      attempts.set(attempt.state, attempt);
      const [oldest] = attempts.keys();
      if (attempts.size > MAX_ATTEMPTS && oldest !== undefined) attempts.delete(oldest);
    },

    /** Takes the attempt of this state out of this browser's session, so that it serves once. */
    takeAttempt(ctx: Context, state: string): SignInAttempt | undefined {
      const attempts = find(ctx)?.attempts;
      const attempt = attempts?.get(state);
      attempts?.delete(state);
      return attempt;
    },

    /** Signed in under a new id: one that an attacker planted before is worth nothing (session fixation). */
    signIn(ctx: Context, tokens: DemoTokens): void {
      const before = find(ctx);
      if (before) sessions.delete(before.id);
      const session = begin(ctx);
      session.tokens = tokens;
      for (const [state, attempt] of before?.attempts ?? []) session.attempts.set(state, attempt);
    },

    end(ctx: Context): void {
      const session = find(ctx);
      if (session) sessions.delete(session.id);
      setCookie(ctx, null);
    },
  };
}

/** The sessions that a request began. */
function begunIn(ctx: Context): string[] {
  ctx.state['begunDemoSessions'] ??= [];
  return ctx.state['begunDemoSessions'];
}

export function isOwnForm(session: DemoSession, csrfToken: string): boolean {
  return equalSecrets(csrfToken, session.csrfToken);
}
