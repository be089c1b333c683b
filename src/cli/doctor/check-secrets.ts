import type { Knex } from 'knex';
import { createKeyRing } from '../../lib/key-ring.ts';
import { SIGNING_ALGS } from '../../keys/signing-key.ts';
import type { Services } from '../../services.ts';
import type { Tenant } from '../../tenants/tenant.ts';
import { fail, ok, warn } from './check.ts';
import type { Check } from './check.ts';

/** Whether every tenant can sign, and whether the key ring opens what the database holds. */
export async function checkSigningKeys({ tenants, keys }: Services): Promise<Check> {
  const all = await tenants.list();
  if (all.length === 0)
    return warn('signing keys', 'there is no tenant yet', 'It is made at the first start.');
  for (const tenant of all) {
    const fault = await signingKeyFault(keys, tenant);
    if (fault) return fault;
  }
  return ok('signing keys', `${all.length} ${all.length === 1 ? 'tenant' : 'tenants'}, all keys open`);
}

async function signingKeyFault(keys: Services['keys'], tenant: Tenant): Promise<Check | undefined> {
  const current = (await keys.list(tenant.id)).filter(({ status }) => status === 'current');
  const missing = SIGNING_ALGS.filter((alg) => !current.some((key) => key.alg === alg));
  if (missing.length > 0) {
    return fail(
      'signing keys',
      `tenant ${tenant.slug} has no current key for ${missing.join(', ')}`,
      'Start a server: it makes missing keys.',
    );
  }
  try {
    await keys.signingJwks(tenant.id);
    return undefined;
  } catch (err) {
    const cause = err instanceof Error && err.cause instanceof Error ? `: ${err.cause.message}` : '';
    return fail(
      'signing keys',
      `those of tenant ${tenant.slug} do not open${cause}`,
      'GATEHOUSE_KEYS must hold the master key they were sealed under.',
    );
  }
}

/** Passwords made with a pepper that is gone can never be checked again. */
export async function checkPeppers(db: Knex, peppers: readonly Buffer[]): Promise<Check> {
  const { ids } = createKeyRing(peppers);
  const used: string[] = await db('password_credentials').distinct('pepper_id').pluck('pepper_id');
  const lost = used.filter((id) => !ids.includes(id));
  return lost.length > 0
    ? fail(
        'peppers',
        `passwords were made with a pepper that is not configured (${lost.join(', ')})`,
        'Put it back into GATEHOUSE_PEPPERS, after the new one.',
      )
    : ok('peppers', 'every password can be checked');
}
