import { z } from 'zod';
import type { Db } from '../db/database.ts';
import { sha256 } from '../lib/ids.ts';
import type { Sealer } from '../lib/sealer.ts';

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
  step?: 'accounts' | 'identifier' | 'password' | undefined;
  /** Whom the person says they are. */
  email?: string | undefined;
  /** What was typed instead of an address. */
  typed?: string | undefined;
  /** Why the last answer was not good enough. */
  error?: LoginError | undefined;
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

const loginStateSchema = z.object({
  clientId: z.string(),
  authorizationPath: z.string().optional(),
  restarts: z.number(),
  step: z.enum(['accounts', 'identifier', 'password']).optional(),
  email: z.string().optional(),
  typed: z.string().optional(),
  error: loginErrorSchema.optional(),
});

const KEPT_SECONDS = 24 * 3600;

/** States hold addresses and request parameters, so they are sealed; the interaction's uid is kept as its hash. */
export function loginStateStore(db: Db, tenantId: string, sealer: Sealer) {
  const keyOf = (uid: string) => ({ tenant_id: tenantId, id_hash: sha256(uid) });
  const placeOf = (hash: Buffer) => `login_states:state_sealed:${hash.toString('hex')}`;

  async function findWithAge(uid: string): Promise<{ state: LoginState; ageSeconds: number } | undefined> {
    const key = keyOf(uid);
    const row = await db('login_states')
      .where(key)
      .where('expires_at', '>', db.fn.now())
      .first('state_sealed', db.raw('extract(epoch FROM now() - created_at)::float8 AS age_seconds'));
    if (!row) return undefined;
    const state = JSON.parse(sealer.open(row.state_sealed, placeOf(key.id_hash)));
    return { state: loginStateSchema.parse(state), ageSeconds: row.age_seconds };
  }

  return {
    findWithAge,
    find: async (uid: string): Promise<LoginState | undefined> => (await findWithAge(uid))?.state,

    async save(uid: string, state: LoginState): Promise<void> {
      const key = keyOf(uid);
      const fields = {
        client_id: state.clientId,
        state_sealed: sealer.seal(JSON.stringify(state), placeOf(key.id_hash)),
        expires_at: db.raw('now() + make_interval(secs => ?)', [KEPT_SECONDS]),
        updated_at: db.fn.now(),
      };
      await db('login_states')
        .insert({ ...key, ...fields })
        .onConflict(['tenant_id', 'id_hash'])
        .merge(fields);
    },
  };
}
