import { sha256 } from '../lib/ids.ts';
import type { DemoClient, DemoTokens, IssuerKeys } from './demo-client.ts';
import type { DemoSession, Outcome } from './demo-sessions.ts';
import { reportOn } from './token-report.ts';

interface Surroundings {
  verification: IssuerKeys;
  clientId: string;
  resource: string;
}

/** What the signed-in page shows: decoded tokens and verdicts, never a token as such. */
export async function signedInView(session: DemoSession, { verification, clientId, resource }: Surroundings) {
  const { tokens, csrfToken, outcome } = session;
  if (!tokens) throw new TypeError('nobody is signed in');
  const now = new Date();
  const idToken = await reportOn(tokens.idToken, verification, { audience: clientId, type: undefined }, now);
  const accessToken = await reportOn(
    tokens.accessToken,
    verification,
    { audience: resource, type: 'at+jwt' },
    now,
  );
  const claims = idToken.payload ?? {};

  return {
    csrf: csrfToken,
    outcome: outcome && presentable(outcome),
    name: claims['name'] ?? claims['email'] ?? claims.sub,
    claims: Object.entries(claims)
      .filter(([name]) => !PROTOCOL_CLAIMS.has(name))
      .map(([name, value]) => ({ name, value: readable(name, value) })),
    tokens: [
      { title: 'ID token', about: 'Says who signed in, to this application alone.', ...pretty(idToken) },
      { title: 'Access token', about: 'Opens the sample API, and nothing else.', ...pretty(accessToken) },
    ],
    scopes: tokens.scope || 'none',
    expiresAt: tokens.expiresAt.toISOString(),
    refreshToken: tokens.refreshToken ? mask(tokens.refreshToken) : 'none',
    jwksUri: verification.jwksUri,
  };
}

/** Gets new tokens and notes what changed. Two clicks at once share one refresh. */
export async function refreshTokens(
  session: DemoSession,
  client: Pick<DemoClient, 'refresh'>,
): Promise<void> {
  session.refreshing ??= refreshOnce(session, client).finally(() => {
    session.refreshing = undefined;
  });
  await session.refreshing;
}

async function refreshOnce(session: DemoSession, client: Pick<DemoClient, 'refresh'>): Promise<void> {
  const before = session.tokens;
  if (!before) return;
  const after = await client.refresh(before);
  session.tokens = after;
  session.outcome = { kind: 'refreshed', changes: changesBetween(before, after) };
}

function changesBetween(before: DemoTokens, after: DemoTokens) {
  const change = (what: string, was: string, is: string, show: (value: string) => string) => ({
    what,
    before: show(was),
    after: show(is),
    changed: was !== is,
  });
  return [
    change('ID token', before.idToken, after.idToken, fingerprint),
    change('Access token', before.accessToken, after.accessToken, fingerprint),
    change('Refresh token', before.refreshToken ?? '', after.refreshToken ?? '', mask),
    change('Access token expires', before.expiresAt.toISOString(), after.expiresAt.toISOString(), String),
  ];
}

function pretty(report: Awaited<ReturnType<typeof reportOn>>) {
  return {
    ...report,
    header: JSON.stringify(report.header, null, 2),
    payload: JSON.stringify(report.payload, null, 2),
  };
}

function presentable(outcome: Outcome) {
  if (outcome.kind !== 'api') return outcome;
  return { ...outcome, body: indented(outcome.body) };
}

function indented(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

// About the token, not about the person; the payload shows them all.
const PROTOCOL_CLAIMS = new Set(['iss', 'aud', 'exp', 'iat', 'nbf', 'jti', 'nonce', 'azp', 'at_hash', 'sid']);
const TIME_CLAIMS = new Set(['auth_time', 'updated_at']);

function readable(name: string, value: unknown): string {
  if (TIME_CLAIMS.has(name) && typeof value === 'number') return new Date(value * 1000).toISOString();
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Tells two tokens apart without showing either. */
function fingerprint(token: string): string {
  return `SHA-256 ${sha256(token).toString('hex').slice(0, 12)}…`;
}

function mask(secret: string): string {
  return secret.length < 20
    ? '•••'
    : `${secret.slice(0, 4)}…${secret.slice(-4)} (${secret.length} characters)`;
}
