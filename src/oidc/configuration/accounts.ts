import type { Account, Configuration } from 'oidc-provider';
import { claimsOf } from '../../users/user-claims.ts';
import { keepsAccess } from '../../users/user.ts';
import { userStore } from '../../users/user-store.ts';
import { guarded } from '../adapter/store-errors.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';

/** Which claims each scope releases (OpenID Connect Core §5.4). */
const CLAIMS = {
  openid: ['sub'],
  profile: [
    'name',
    'family_name',
    'given_name',
    'middle_name',
    'nickname',
    'preferred_username',
    'profile',
    'picture',
    'website',
    'gender',
    'birthdate',
    'zoneinfo',
    'locale',
    'updated_at',
  ],
  email: ['email', 'email_verified'],
  phone: ['phone_number', 'phone_number_verified'],
  address: ['address'],
  acr: null,
  amr: null,
  auth_time: null,
  sid: null,
  iss: null,
};

export function accountsConfiguration(context: TenantContext) {
  return {
    claims: CLAIMS,
    scopes: ['openid', 'offline_access'],

    findAccount: (_ctx, id) => findAccount(context, id),
  } satisfies Configuration;
}

/** People as the engine sees them. Who has no access any more does not exist: they must sign in again, or cannot. */
export function findAccount({ db, tenant }: TenantContext, id: string): Promise<Account | undefined> {
  return guarded(async () => {
    const unit = currentUnitOfWork();
    const found = unit?.accounts.has(id)
      ? unit.accounts.get(id)
      : await userStore((await unit?.reader()) ?? db, tenant.id).findWithProfile(id);
    if (!found || !keepsAccess(found.user)) return undefined;
    return { accountId: id, claims: async () => ({ sub: id, ...claimsOf(found.user, found.profile) }) };
  });
}
