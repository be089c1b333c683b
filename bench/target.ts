import { createHash, randomBytes } from 'node:crypto';
import { expectStatus, UnexpectedAnswer } from './answer.ts';
import { openConnection } from './connection.ts';
import type { Answer } from './answer.ts';
import type { Connection, Request } from './connection.ts';
import { createCookieJar } from './cookie-jar.ts';
import type { CookieJar } from './cookie-jar.ts';
import { REDIRECT_URI } from './fixtures.ts';
import type { ClientCredentials, TargetDescription } from './fixtures.ts';

/** A server as its clients see it: where its endpoints are, and the ways through them. */
export interface Target extends TargetDescription {
  origin: string;
  paths: Endpoints;
}

interface Endpoints {
  discovery: string;
  jwks: string;
  authorization: string;
  token: string;
  introspection: string;
  userinfo: string;
}

export interface Tokens {
  access_token: string;
  refresh_token?: string;
  id_token?: string;
}

// Fixed: making new ones would be the driver's work, not the server's.
const CODE_VERIFIER = randomBytes(32).toString('base64url');
const CODE_CHALLENGE = createHash('sha256').update(CODE_VERIFIER).digest('base64url');
const MAX_STEPS = 15;

/** Reads the endpoints from the discovery document, so that rows know none by heart. */
export async function describeTarget(description: TargetDescription): Promise<Target> {
  const { origin } = new URL(description.issuer);
  const connection = openConnection(origin);
  const discovery = `${new URL(description.issuer).pathname.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const answer = await connection.request({ method: 'GET', path: discovery });
  await connection.close();
  const document: Record<string, string> = JSON.parse(expectStatus(answer, 200, 'discovery').body);
  const path = (name: string) => new URL(document[name] ?? '').pathname;
  return {
    ...description,
    origin,
    paths: {
      discovery,
      jwks: path('jwks_uri'),
      authorization: path('authorization_endpoint'),
      token: path('token_endpoint'),
      introspection: path('introspection_endpoint'),
      userinfo: path('userinfo_endpoint'),
    },
  };
}

export function basicAuth({ id, secret }: ClientCredentials): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` };
}

export function form(fields: Record<string, string>): string {
  return new URLSearchParams(fields).toString();
}

/** The authorization request of the web client, ready to send. */
export function authorizationPath(
  target: Target,
  { scope, resource }: { scope: string; resource?: string },
): string {
  const query = form({
    client_id: target.web.id,
    response_type: 'code',
    redirect_uri: REDIRECT_URI,
    scope,
    state: 'state',
    nonce: 'nonce',
    code_challenge: CODE_CHALLENGE,
    code_challenge_method: 'S256',
    ...(resource && { resource }),
  });
  return `${target.paths.authorization}?${query}`;
}

/**
 * Sends an authorization request and does what the pages ask until the browser is sent to the application.
 * @param jar with a session, nothing is asked
 * @returns the code
 */
export async function authorize(
  connection: Connection,
  jar: CookieJar,
  path: string,
  person?: { email: string; password: string },
): Promise<string> {
  let request: Request = { method: 'GET', path };
  for (let steps = 0; steps < MAX_STEPS; steps += 1) {
    const answer = await browse(connection, jar, request);
    const location = answer.headers.get('location') ?? '';
    if (location.startsWith(REDIRECT_URI)) return codeIn(location, answer);
    if (location) request = { method: 'GET', path: pathOf(location) };
    else if (person && answer.status === 200) request = fillIn(answer, person);
    else throw new UnexpectedAnswer(request.path.slice(0, 80), answer);
  }
  throw new Error(`no end after ${MAX_STEPS} steps, at ${request.path}`);
}

/** @param jar of the browser; by default a new one */
export async function signIn(
  connection: Connection,
  path: string,
  person: { email: string; password: string },
  jar = createCookieJar(),
): Promise<{ code: string; jar: CookieJar }> {
  return { code: await authorize(connection, jar, path, person), jar };
}

/** The browser as it is when the person comes back after the session's end: it knows the account, and nothing else. */
export function returning(jar: CookieJar): CookieJar {
  return jar.only(/_accounts/);
}

/** Redeems a code, or anything else, at the token endpoint. */
export async function tokenRequest(
  connection: Connection,
  target: Target,
  headers: Record<string, string>,
  body: string,
): Promise<Tokens> {
  const answer = await connection.request({ method: 'POST', path: target.paths.token, headers, body });
  const tokens: Tokens = JSON.parse(expectStatus(answer, 200, 'token').body);
  if (!tokens.access_token) throw new UnexpectedAnswer('token', answer);
  return tokens;
}

export function redemption(code: string): string {
  return form({
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT_URI,
    code_verifier: CODE_VERIFIER,
  });
}

async function browse(connection: Connection, jar: CookieJar, request: Request): Promise<Answer> {
  const cookie = jar.header(request.path);
  const headers = { accept: 'text/html', ...(cookie && { cookie }) };
  const answer = await connection.request({ ...request, headers });
  jar.take(answer);
  return answer;
}

function codeIn(location: string, answer: Answer): string {
  const code = new URL(location).searchParams.get('code');
  if (!code) throw new UnexpectedAnswer('the application was sent no code', answer);
  return code;
}

function pathOf(location: string): string {
  if (location.startsWith('/')) return location;
  const { pathname, search } = new URL(location);
  return pathname + search;
}

const INPUT = /<input\b([^>]*)>/g;
const NAME = /\bname="([^"]*)"/;
const VALUE = /\bvalue="([^"]*)"/;
const ACTION = /\baction="([^"]*)"/;
/** Of the forms that ask who it is: the address, the password, or which of the accounts that the browser knows. */
const ASKED = ['username', 'password', 'account'];

/** The page's form that asks who it is, with its hidden fields. */
function fillIn(answer: Answer, { email, password }: { email: string; password: string }): Request {
  for (const form of formsIn(answer.body)) {
    const fields = new Map<string, string>();
    for (const [, input = ''] of form.matchAll(INPUT))
      fields.set(attribute(input, NAME), attribute(input, VALUE));
    if (!ASKED.some((name) => fields.has(name))) continue;
    if (fields.has('username')) fields.set('username', email);
    if (fields.has('password')) fields.set('password', password);
    const body = new URLSearchParams([...fields]).toString();
    return { method: 'POST', path: pathOf(attribute(form, ACTION)), body };
  }
  throw new UnexpectedAnswer('a page without a form for signing in', answer);
}

function* formsIn(html: string): Generator<string> {
  for (let start = html.indexOf('<form'); start !== -1; start = html.indexOf('<form', start + 1)) {
    const end = html.indexOf('</form>', start);
    if (end !== -1) yield html.slice(start, end);
  }
}

function attribute(text: string, pattern: RegExp): string {
  const value = pattern.exec(text)?.[1] ?? '';
  return value.includes('&') ? unescaped(value) : value;
}

function unescaped(html: string): string {
  return html.replaceAll('&#34;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&');
}
