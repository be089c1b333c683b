import { z } from 'zod';
import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import { UNHURRIED } from '../db/unhurried.ts';
import { sha256 } from '../lib/ids.ts';
import type { Sealer } from '../lib/sealer.ts';
import { ALL_HOLD } from '../oidc/adapter/deferred-writes.ts';
import type { StatementPart } from '../oidc/adapter/deferred-writes.ts';
import { MAILED_SCREENS, mailedErrorSchema, mailedStateSchema } from './mailed-state.ts';
import type { MailedError, MailedScreen, MailedState } from './mailed-state.ts';

/**
 * Where a sign-in stands, kept beside the engine's interaction and longer than it: an interaction that
 * was lost or has expired starts over from here instead of ending in an error.
 */
export interface LoginState {
  clientId: string;
  /** Path and query the request began with; absent where it cannot be repeated (pushed requests). */
  authorizationPath?: string | undefined;
  /** How often in a row this request was started over, without an answer of the person in between. */
  restarts: number;
  /** Undefined until the first answer: dispatch decides by the request. */
  step?: 'accounts' | 'identifier' | 'password' | 'own_password' | MailedScreen | undefined;
  /** Whom the person says they are. */
  email?: string | undefined;
  /** What was typed instead of an address. */
  typed?: string | undefined;
  /** Why the last answer was not good enough. */
  error?: LoginError | undefined;
  /** The password was right, and is good for choosing another one alone. */
  temporary?: z.output<typeof temporarySchema> | undefined;
  /** A code that was mailed, and what for. */
  mailed?: MailedState | undefined;
  mailedError?: MailedError | undefined;
}

const loginErrorSchema = z.discriminatedUnion('reason', [
  z.object({ reason: z.literal('email_missing') }),
  z.object({ reason: z.literal('email_malformed') }),
  z.object({ reason: z.literal('password_missing') }),
  z.object({ reason: z.literal('mismatch') }),
  z.object({ reason: z.literal('busy') }),
  z.object({ reason: z.literal('throttled'), retryAfterSeconds: z.number() }),
]);

export type LoginError = z.output<typeof loginErrorSchema>;

const temporarySchema = z.object({
  userId: z.string(),
  proof: z.string(),
  /** Milliseconds since 1970. */
  provedAt: z.number(),
});

const loginStateSchema = z.object({
  clientId: z.string(),
  authorizationPath: z.string().optional(),
  restarts: z.number(),
  step: z.enum(['accounts', 'identifier', 'password', 'own_password', ...MAILED_SCREENS]).optional(),
  email: z.string().optional(),
  typed: z.string().optional(),
  error: loginErrorSchema.optional(),
  temporary: temporarySchema.optional(),
  mailed: mailedStateSchema.optional(),
  mailedError: mailedErrorSchema.optional(),
});

const KEPT_SECONDS = 24 * 3600;

// Takes `rowOf`.
const INSERT = `INSERT INTO login_states (tenant_id, id_hash, client_id, state_sealed, expires_at)
  SELECT ?::uuid, ?::bytea, ?::text, ?::text, now() + make_interval(secs => ?::float8)`;

export interface SealedLoginState {
  state_sealed: string;
  age_seconds: number;
}

/** States hold addresses and request parameters, so they are sealed; the interaction's uid is kept as its hash. */
export function loginStateStore(db: Db, tenantId: string, sealer: Sealer) {
  const placeOf = (hash: Buffer) => `login_states:state_sealed:${hash.toString('hex')}`;

  function rowOf(uid: string, state: LoginState) {
    const hash = sha256(uid);
    const sealed = sealer.seal(JSON.stringify(state), placeOf(hash));
    return [tenantId, hash, state.clientId, sealed, KEPT_SECONDS];
  }

  async function findWithAge(uid: string): Promise<{ state: LoginState; ageSeconds: number } | undefined> {
    const hash = sha256(uid);
    const { rows } = await prepared<SealedLoginState>(
      db,
      'login-state-find',
      `SELECT state_sealed, extract(epoch FROM now() - created_at)::float8 AS age_seconds
         FROM login_states WHERE tenant_id = ? AND id_hash = ? AND expires_at > now()`,
      [tenantId, hash],
    );
    const [row] = rows;
    return row && { state: open(row.state_sealed, hash), ageSeconds: row.age_seconds };
  }

  function open(sealed: string, hash: Buffer): LoginState {
    return loginStateSchema.parse(JSON.parse(sealer.open(sealed, placeOf(hash))));
  }

  return {
    findWithAge,
    open: (uid: string, { state_sealed }: SealedLoginState): LoginState => open(state_sealed, sha256(uid)),

    /** What is lost costs whoever took the step one more look at a page. */
    async save(uid: string, state: LoginState): Promise<void> {
      await prepared(
        db,
        'login-state-save',
        `WITH ${UNHURRIED} ${INSERT} FROM unhurried ON CONFLICT (tenant_id, id_hash) DO UPDATE SET
           state_sealed = excluded.state_sealed, expires_at = excluded.expires_at, updated_at = now()`,
        rowOf(uid, state),
      );
    },

    /** As a part of what the interaction's request writes. */
    inserted: (uid: string, state: LoginState): StatementPart => ({
      name: '+state',
      mayBeLost: true,
      sql: `${INSERT} WHERE ${ALL_HOLD}`,
      bindings: rowOf(uid, state),
    }),
  };
}
