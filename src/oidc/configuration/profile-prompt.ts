import { interactionPolicy } from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { userStore } from '../../users/user-store.ts';
import { guarded } from '../adapter/store-errors.ts';
import { currentUnitOfWork } from '../adapter/unit-of-work.ts';
import type { TenantContext } from '../provider-deps.ts';

const { Check, Prompt } = interactionPolicy;

/** Whoever does not want to say it is left in peace for this long. */
const ASKED_AGAIN_DAYS = 90;

/**
 * Asks people who have signed in for what their profile lacks of the tenant's `profileFields`. They may skip it. It
 * comes after the sign-in, since only then is it known whose profile it is, and costs nothing where no field is
 * missing. An app that wants no page (`prompt=none`) is not kept waiting for it.
 */
export function profilePrompt({ db, tenant }: TenantContext) {
  const { profileFields } = tenant.settings;

  async function isDue({ oidc }: KoaContextWithOIDC): Promise<boolean> {
    const { session, params } = oidc;
    const id = session?.accountId;
    if (id === undefined || profileFields.length === 0 || params?.['prompt'] === 'none') return false;
    const unit = currentUnitOfWork();
    const users = userStore((await unit?.reader()) ?? db, tenant.id);
    const known = unit?.accounts.get(id) ?? (await users.findWithProfile(id));
    if (!known || profileFields.every((name) => known.profile.claims[name] !== undefined)) return false;
    return !(await users.wasAskedForProfile(id, ASKED_AGAIN_DAYS));
  }

  return new Prompt(
    { name: 'profile', requestable: false },
    new Check('profile_incomplete', 'the profile lacks what this server asks for', (ctx) =>
      guarded(() => isDue(ctx)),
    ),
  );
}
