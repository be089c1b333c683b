import { setTimeout as delay } from 'node:timers/promises';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { CODE_VERIFIER, REDIRECT_URI } from '../../support/relying-party.ts';
import { jsonOf } from '../support/http-client.ts';
import type { Outcome } from '../support/http-client.ts';
import type { HistoryRecord, Issued, OperationOutcome, Recorder, RecordOf } from './record.ts';
import type { App, World } from './world.ts';

/** Servers look for changes twice a second. */
const LONGEST_UNTIL_KNOWN_MS = 3_000;
const POLL_MS = 100;

/** Who asks, and which server is asked first. */
export interface Caller {
  worker: number;
  server: number;
}

/** The requests that apps make, each leaving one record. */
export function createProtocolOperations({ issuer, balancer, api }: World, recorder: Recorder) {
  async function post(caller: Caller, app: App, path: string, form: Record<string, string>) {
    const invokedAt = recorder.now();
    const outcome = await balancer.send(
      { url: `${issuer}${path}`, form, headers: { authorization: app.authorization } },
      caller.server,
    );
    return { ...caller, invokedAt, answer: outcome };
  }

  return {
    async exchange(caller: Caller, app: App, code: string) {
      const { answer, ...call } = await post(caller, app, '/token', {
        grant_type: 'authorization_code',
        code,
        redirect_uri: REDIRECT_URI,
        code_verifier: CODE_VERIFIER,
      });
      return recorder.add({
        ...call,
        ...judge(answer, isInvalidGrant),
        kind: 'exchange',
        code,
        ...issuedBy(answer),
      }) as RecordOf<'exchange'>;
    },

    async refresh(caller: Caller, app: App, token: string) {
      const { answer, ...call } = await post(caller, app, '/token', {
        grant_type: 'refresh_token',
        refresh_token: token,
      });
      return recorder.add({
        ...call,
        ...judge(answer, isInvalidGrant),
        kind: 'refresh',
        token,
        ...issuedBy(answer),
      }) as RecordOf<'refresh'>;
    },

    async introspect(caller: Caller, app: App, token: string): Promise<HistoryRecord> {
      const { answer, ...call } = await post(caller, app, '/introspect', { token });
      return recorder.add({ ...call, ...judgeActivity(answer), kind: 'introspect', token });
    },

    async validate(caller: Caller, token: string): Promise<HistoryRecord> {
      const invokedAt = recorder.now();
      const answer = await balancer.send(
        {
          url: `${issuer}/api/v1/auth/validate`,
          headers: { authorization: api.authorization },
          json: { token },
        },
        caller.server,
      );
      return recorder.add({ ...caller, invokedAt, ...judgeActivity(answer), kind: 'validate', token });
    },

    async userinfo(caller: Caller, token: string): Promise<HistoryRecord> {
      const invokedAt = recorder.now();
      const answer = await balancer.send(
        { url: `${issuer}/userinfo`, headers: { authorization: `Bearer ${token}` } },
        caller.server,
      );
      const judged = judge(answer, (status, error) => status === 401 && error === 'invalid_token');
      return recorder.add({ ...caller, invokedAt, ...judged, kind: 'userinfo', token });
    },

    async revoke(caller: Caller, app: App, token: string): Promise<HistoryRecord> {
      const { answer, ...call } = await post(caller, app, '/revoke', { token });
      return recorder.add({ ...call, ...judge(answer), kind: 'revoke', token });
    },

    /** With the keys that the server publishes now, as an app that has cached nothing. */
    async verify(caller: Caller, token: string): Promise<HistoryRecord> {
      const invokedAt = recorder.now();
      const answer = await balancer.send({ url: `${issuer}/jwks` }, caller.server);
      const judged = judge(answer);
      const verified = judged.outcome !== 'ok' || (await verifies(answer, token));
      return recorder.add({
        ...caller,
        invokedAt,
        ...judged,
        outcome: verified ? judged.outcome : 'refused',
        kind: 'verify',
        token,
      });
    },

    /** Until the server publishes a key with this id, or for as long as that may take at most; leaves no record. */
    async awaitKey({ server }: Caller, kid: string): Promise<void> {
      for (const end = recorder.now() + LONGEST_UNTIL_KNOWN_MS; recorder.now() < end; await delay(POLL_MS)) {
        const answer = await balancer.send({ url: `${issuer}/jwks` }, server);
        if (answer.kind === 'answered' && answer.body.includes(`"${kid}"`)) return;
      }
    },
  };
}

/** @param isRefusal whether an answer below 500 says no for a reason that the model knows */
export function judge(
  answer: Outcome,
  isRefusal: (status: number, error: unknown) => boolean = () => false,
): { outcome: OperationOutcome; detail: string } {
  if (answer.kind === 'refused') return { outcome: 'not-sent', detail: 'connection refused' };
  if (answer.kind === 'lost') return { outcome: 'unknown', detail: answer.reason };
  const { error } = jsonOf(answer);
  const detail = `${answer.status}${typeof error === 'string' ? ` ${error}` : ''}`;
  if (answer.status === 200) return { outcome: 'ok', detail };
  if (answer.status === 503) return { outcome: 'unavailable', detail };
  if (isRefusal(answer.status, error)) return { outcome: 'refused', detail };
  return { outcome: 'broken', detail: `${detail}, reference ${String(answer.headers['x-request-id'])}` };
}

/** @returns `refused` for a token that is not active */
function judgeActivity(answer: Outcome): ReturnType<typeof judge> {
  const judged = judge(answer);
  const isInactive = judged.outcome === 'ok' && jsonOf(answer)['active'] === false;
  return isInactive ? { outcome: 'refused', detail: 'inactive' } : judged;
}

function isInvalidGrant(status: number, error: unknown): boolean {
  return status === 400 && error === 'invalid_grant';
}

function issuedBy(answer: Outcome): Issued {
  const { access_token: access, refresh_token: refresh, id_token: idToken } = jsonOf(answer);
  return {
    ...(typeof access === 'string' ? { access } : {}),
    ...(typeof refresh === 'string' ? { refresh } : {}),
    ...(typeof idToken === 'string' ? { idToken } : {}),
  };
}

async function verifies(answer: Outcome, token: string): Promise<boolean> {
  try {
    await jwtVerify(token, createLocalJWKSet(jsonOf(answer) as unknown as JSONWebKeySet));
    return true;
  } catch {
    return false;
  }
}
