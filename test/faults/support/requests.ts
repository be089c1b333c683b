import { GOOD_PASSWORD } from '../../support/app.ts';
import { CODE_CHALLENGE, CODE_VERIFIER, REDIRECT_URI } from '../../support/relying-party.ts';
import { createUserAgent, formsOf } from '../../support/user-agent.ts';
import type { UserAgent } from '../../support/user-agent.ts';
import { at } from '../history/slots.ts';
import type { App, Person, World } from '../history/world.ts';
import type { Held } from './families.ts';
import type { HttpRequest } from './http-client.ts';

/** Requests that may be made any number of times, under the name they have in what a test expects. */
export interface NamedRequest extends HttpRequest {
  what: string;
}

/** What apps do over and over, where every time builds on an answer. */
export interface RepeatedRequest extends NamedRequest {
  /** The refresh token that it gets is the one that it sends the next time. */
  rotates?: boolean;
  /** Sent as soon as there is a code, which goes into its form. */
  redeem?: NamedRequest;
}

/** One of every kind, with what an app holds. */
export function requestsOf(world: World, { app, session, access, refresh }: Held): NamedRequest[] {
  const { issuer, tenant } = world;
  const headers = { authorization: app.authorization };
  const origin = issuer.slice(0, issuer.indexOf(`/t/${tenant.tenant.slug}`));
  return [
    {
      what: 'refresh',
      url: `${issuer}/token`,
      headers,
      form: { grant_type: 'refresh_token', refresh_token: refresh },
    },
    {
      what: 'client credentials',
      url: `${issuer}/token`,
      headers,
      form: { grant_type: 'client_credentials' },
    },
    { what: 'introspect', url: `${issuer}/introspect`, headers, form: { token: access } },
    { what: 'userinfo', url: `${issuer}/userinfo`, headers: { authorization: `Bearer ${access}` } },
    { what: 'push a request', url: `${issuer}/par`, headers, form: authorizationRequest(app) },
    {
      what: 'authorize',
      url: `${issuer}/authorize?${new URLSearchParams(authorizationRequest(app)).toString()}`,
      headers: { accept: 'text/html' },
    },
    apiSignIn(world, session.person.email),
    { what: 'validate', url: `${issuer}/api/v1/auth/validate`, headers, json: { token: access } },
    {
      what: 'account portal',
      url: `${issuer}/account/devices`,
      headers: { accept: 'text/html', cookie: cookiesOf(session.agent) },
    },
    { what: 'discovery', url: `${issuer}/.well-known/openid-configuration` },
    { what: 'keys', url: `${issuer}/jwks` },
    { what: 'liveness', url: `${origin}/livez` },
    { what: 'readiness', url: `${origin}/readyz` },
  ];
}

/** New tokens for what an app holds: by its refresh token, and by a code for the session that there is. */
export function renewalsOf(world: World, held: Held): RepeatedRequest[] {
  const { issuer } = world;
  const { app, session } = held;
  const query = new URLSearchParams({ ...authorizationRequest(app), prompt: 'none' });
  return [
    ...requestsOf(world, held)
      .filter(({ what }) => what === 'refresh')
      .map((refresh) => ({ ...refresh, rotates: true })),
    {
      what: 'authorize',
      url: `${issuer}/authorize?${query.toString()}`,
      headers: { accept: 'text/html', cookie: cookiesOf(session.agent) },
      redeem: {
        what: 'exchange',
        url: `${issuer}/token`,
        headers: { authorization: app.authorization },
        form: {
          grant_type: 'authorization_code',
          redirect_uri: REDIRECT_URI,
          code_verifier: CODE_VERIFIER,
        },
      },
    },
  ];
}

export function apiSignIn({ issuer }: World, email: string, password = GOOD_PASSWORD): NamedRequest {
  return { what: 'sign in over the API', url: `${issuer}/api/v1/auth/login`, json: { email, password } };
}

/** Where a person has only to send the password. */
export async function openSignInForm(world: World, person: Person): Promise<NamedRequest> {
  const { issuer, balancer, apps } = world;
  const agent = createUserAgent((url, init) => balancer.fetch(url, init));
  const query = new URLSearchParams({ ...authorizationRequest(at(apps, 0)), login_hint: person.email });
  const page = await agent.follow(await agent.get(`${issuer}/authorize?${query.toString()}`), issuer);
  const form = formsOf(page.body).find(({ action }) => action.endsWith('/password'));
  if (!form) throw new Error(`no password is asked for: ${page.status}`);
  return {
    what: 'password',
    url: new URL(form.action, page.url).href,
    headers: {
      accept: 'text/html',
      cookie: cookiesOf(agent),
    },
    form: { ...form.hidden, password: GOOD_PASSWORD },
  };
}

function cookiesOf({ cookies }: UserAgent): string {
  return cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
}

function authorizationRequest(app: App): Record<string, string> {
  return {
    client_id: app.clientId,
    response_type: 'code',
    redirect_uri: REDIRECT_URI,
    scope: 'openid',
    code_challenge: CODE_CHALLENGE,
    code_challenge_method: 'S256',
  };
}
