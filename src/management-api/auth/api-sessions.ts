import { defineErrors } from '../../lib/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Actor } from '../../http/actor.ts';
import type { Caller } from '../../http/caller.ts';
import type { RequestState } from '../../http/request-state.ts';
import { endAccess } from '../../oidc/grants/end-access.ts';
import { createFirstPartyCode, firstPartyClient } from '../../oidc/grants/first-party-grant.ts';
import { redeemCode, refreshTokens } from '../../oidc/grants/first-party-tokens.ts';
import type { FirstPartyTokens } from '../../oidc/grants/first-party-tokens.ts';
import { PORTAL_PATH } from '../../oidc/extensions/portal-client.ts';
import type { TenantProvider } from '../../oidc/provider-registry.ts';
import type { PasswordSignIn } from '../../users/password-sign-in.ts';
import type { NoticeNewDevice } from '../../sessions/new-device.ts';
import { placedDeviceKey } from '../../sessions/known-device.ts';
import type { SignInAdmission } from '../../users/sign-in-admission.ts';
import type { ChallengeFor, MfaChallenge } from './mfa-challenge.ts';

/**
 * Signing in, staying and leaving over the API. It puts together what others decide: the password service
 * who somebody is, the challenge what else is due, the token endpoint what is issued.
 */
export type ApiSessions = ReturnType<typeof createApiSessions>;

export interface ApiRequest {
  tenantProvider: TenantProvider;
  state: RequestState;
}

const fail = defineErrors('auth', {
  invalid_credentials: { status: 401, message: 'E-mail address or password is wrong.' },
  password_change_required: {
    status: 403,
    message: 'This password is temporary. Sign in on a page of this server to choose your own.',
  },
  too_many_attempts: { status: 429, message: 'There were too many failed attempts. Wait, then try again.' },
});

/** Too many failures at an account: nothing was judged. */
export const tooManyAttempts = (retryAfterSeconds: number) =>
  fail('too_many_attempts', { retryAfterSeconds });

export function createApiSessions({
  passwordSignIn,
  admitSignIn,
  challengeFor,
  noticeNewDevice,
  now,
}: {
  passwordSignIn: PasswordSignIn;
  admitSignIn: SignInAdmission;
  challengeFor: ChallengeFor;
  noticeNewDevice: NoticeNewDevice;
  now: Clock;
}) {
  return {
    /**
     * @param actor the anonymous caller
     * @throws {AppError} `auth.invalid_credentials` whatever is wrong with them, `auth.too_many_attempts`,
     *   `auth.password_change_required`,
     *   `password.busy`, `auth.not_available`, `auth.client_unsuitable`, `auth.scope_not_allowed`
     */
    async login(
      { tenantProvider, state }: ApiRequest,
      actor: Actor,
      { email, password, scope }: { email: string; password: string; scope: string | undefined },
    ): Promise<FirstPartyTokens | MfaChallenge> {
      const client = await firstPartyClient(tenantProvider);
      const outcome = await admitSignIn(() => passwordSignIn.verify(actor, { email, password }));
      if (!outcome.ok) {
        if (outcome.reason !== 'throttled') throw fail('invalid_credentials');
        throw tooManyAttempts(outcome.retryAfterSeconds);
      }

      if (outcome.temporary !== undefined) throw fail('password_change_required');
      const challenge = await challengeFor(outcome.user);
      if (challenge) return challenge;
      const { user } = outcome;
      const { context } = tenantProvider;
      const login = { actor, user, methods: ['pwd'], at: now(), scope };
      const code = await createFirstPartyCode(tenantProvider, client, login, (device) =>
        noticeNewDevice({ ...actor, type: 'user', id: user.id }, user, {
          // Of many sign-ins at once on the same one, one is told.
          occasion: `${user.id} ${placedDeviceKey(device)}`,
          devicesUrl: `${context.issuer}${PORTAL_PATH}/devices`,
          locale: context.tenant.settings.locale,
        }),
      );
      // The password was right when it was judged.
      if (!code) throw fail('invalid_credentials');
      return redeemCode(tenantProvider, state, code);
    },

    /** @throws {AppError} `auth.invalid_grant`, `auth.invalid_scope`, `auth.not_available` */
    async refresh(
      { tenantProvider, state }: ApiRequest,
      { refreshToken, scope }: { refreshToken: string; scope: string | undefined },
    ): Promise<FirstPartyTokens> {
      const { clientId } = await firstPartyClient(tenantProvider);
      return refreshTokens(tenantProvider, state, { clientId, refreshToken, scope });
    },

    /** Ends what the caller's token was issued from: the grant, and the session behind it. */
    async logout({ tenantProvider }: ApiRequest, caller: Caller): Promise<void> {
      if (caller.grantId === undefined) return;
      await endAccess(tenantProvider, caller, { grantId: caller.grantId, userId: caller.id });
    },
  };
}
