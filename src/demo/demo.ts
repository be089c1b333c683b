import Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import { z } from 'zod';
import { parseForm } from '../http/body.ts';
import type { AppContext } from '../http/request-state.ts';
import type { Views } from '../http/views.ts';
import type { PageWriter } from '../i18n/request-language.ts';
import type { Logger } from '../lib/logger.ts';
import { createDemoClient } from './demo-client.ts';
import { explain, FOREIGN_FORM, hasEndedGrant, UNKNOWN_ATTEMPT } from './demo-errors.ts';
import type { DemoProblem } from './demo-errors.ts';
import { createDemoSessions, isOwnForm } from './demo-sessions.ts';
import type { DemoSession } from './demo-sessions.ts';
import type { SessionStore } from './shared-sessions.ts';
import { SAMPLE_SCOPE, sampleApiRoutes } from './sample-api.ts';
import { refreshTokens, signedInView } from './signed-in-view.ts';
import { seeOther } from '../http/see-other.ts';

/**
 * A real application beside the server, in development only: it signs people in, shows what the tokens
 * hold and whether they verify, calls an API, refreshes and signs out. It shares nothing with the server
 * but the process; all it knows comes over HTTP.
 */

export interface DemoOptions {
  issuer: string;
  /** Where it is mounted, such as `http://localhost:3000/demo`. */
  baseUrl: string;
  clientId: string;
  /** Absent for a public client. */
  clientSecret?: string;
  /** Resource indicator of the sample API, such as `http://localhost:3000/demo/api`; also where it answers. */
  resource: string;
  views: Pick<Views, 'render'>;
  /** English: its readers are developers. */
  language: PageWriter;
  log: Logger;
  /** Whom to sign in as, for the start page. */
  user?: { email: string; passwordFile: string };
  fetch?: typeof fetch;
  /** Where several processes serve the demo. */
  sessionStore?: SessionStore | undefined;
}

const FORM = z.object({ csrf: z.string() });
const SCOPE = `openid profile email ${SAMPLE_SCOPE}`;

export function createDemo(options: DemoOptions): { router: Router } {
  const { issuer, baseUrl, clientId, resource, views, log } = options;
  const { pathname: path, port, protocol } = new URL(baseUrl);
  const client = createDemoClient({ ...options, scope: SCOPE });
  const sessions = createDemoSessions({
    path,
    port,
    secure: protocol === 'https:',
    store: options.sessionStore,
  });
  const pages = new Router({ prefix: path });

  function show(ctx: Context, view: string, locals: object): void {
    ctx.type = 'html';
    ctx.body = views.render(`demo/${view}`, { base: path, issuer, ...locals }, options.language);
  }

  function showProblem(ctx: Context, problem: DemoProblem): void {
    ctx.status = problem.status;
    show(ctx, 'error', { problem });
  }

  /** A failed call to the server becomes a page in plain words; the cause goes to the log. */
  async function explained(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    try {
      await next();
    } catch (err) {
      const problem = explain(err);
      if (!problem) throw err;
      log.warn({ err, code: problem.code }, 'demo: a call to the server failed');
      showProblem(ctx, problem);
    }
  }

  /** Buttons work only for who is signed in, from the demo's own pages. */
  async function ownForm(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    const session = sessions.find(ctx);
    if (!session?.tokens) return seeOther(ctx, path);
    const { csrf } = await parseForm(ctx as AppContext, FORM);
    if (!isOwnForm(session, csrf)) return showProblem(ctx, FOREIGN_FORM);
    ctx.state['session'] = session;
    await next();
  }

  async function giveBack(refreshToken: string): Promise<void> {
    try {
      await client.revoke(refreshToken);
    } catch (err) {
      log.warn({ err }, 'demo: the refresh token could not be revoked');
    }
  }

  pages.use(pageHeaders(new URL(issuer).origin));
  pages.use((ctx, next) => sessions.shared(ctx, next));

  pages.get('/', explained, async (ctx) => {
    const session = sessions.find(ctx);
    if (!session?.tokens) return show(ctx, 'start', { scope: SCOPE, user: options.user });
    const verification = await client.verification();
    show(ctx, 'signed-in', {
      ...(await signedInView(session, { verification, clientId, resource })),
    });
  });

  pages.get('/sign-in', explained, async (ctx) => {
    const { url, attempt } = await client.startSignIn();
    sessions.addAttempt(ctx, attempt);
    seeOther(ctx, url.href);
  });

  pages.get('/callback', explained, async (ctx) => {
    const query = new URLSearchParams(ctx.querystring);
    const attempt = sessions.takeAttempt(ctx, query.get('state') ?? '');
    // Nothing is taken from such an answer. Who is signed in got here with the browser's own buttons.
    if (!attempt && sessions.find(ctx)?.tokens) return seeOther(ctx, path);
    if (!attempt) return showProblem(ctx, UNKNOWN_ATTEMPT);
    sessions.signIn(ctx, await client.finishSignIn(query, attempt));
    seeOther(ctx, path);
  });

  pages.post('/call-api', ownForm, explained, async (ctx) => {
    const session = sessionOf(ctx);
    const accessToken = session.tokens?.accessToken ?? '';
    session.outcome = { kind: 'api', ...(await client.callApi(accessToken)) };
    seeOther(ctx, path);
  });

  pages.post('/refresh', ownForm, explained, async (ctx) => {
    try {
      await refreshTokens(sessionOf(ctx), client);
    } catch (err) {
      // Nothing this session holds works any more; the error page offers to sign in again.
      if (hasEndedGrant(err)) sessions.end(ctx);
      throw err;
    }
    seeOther(ctx, path);
  });

  pages.post('/sign-out', ownForm, explained, async (ctx) => {
    const { tokens } = sessionOf(ctx);
    sessions.end(ctx);
    if (!tokens) return seeOther(ctx, path);
    // By itself as well, for a person who stops at the server's question whether to sign out.
    if (tokens.refreshToken) await giveBack(tokens.refreshToken);
    seeOther(ctx, (await client.signOutUrl(tokens.idToken)).href);
  });

  pages.get('/signed-out', (ctx) => show(ctx, 'signed-out', {}));

  const api = sampleApiRoutes({ resource, verification: () => client.verification(), log });
  return { router: new Router().use(api.routes(), pages.routes()) };
}

function sessionOf(ctx: Context): DemoSession {
  return ctx.state['session'];
}

/**
 * The policy is complete here, so the demo is as strict wherever it is mounted. Browsers apply form-action to
 * the redirects that follow a form, so signing out needs the server's origin.
 */
function pageHeaders(issuerOrigin: string): Middleware {
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self' data:",
    `form-action 'self' ${issuerOrigin}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return async (ctx, next) => {
    ctx.set('Content-Security-Policy', policy);
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Referrer-Policy', 'no-referrer');
    ctx.set('X-Content-Type-Options', 'nosniff');
    await next();
  };
}
