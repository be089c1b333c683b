import { errors } from 'oidc-provider';
import type { Interaction } from 'oidc-provider';
import { cookieNames } from '../oidc/configuration/cookies.ts';
import type { TenantProvider } from '../oidc/provider-registry.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { guarded } from '../oidc/adapter/store-errors.ts';
import type { Clock } from '../lib/clock.ts';
import { parseEmail } from '../users/email-address.ts';
import { userStore } from '../users/user-store.ts';
import type { User } from '../users/user.ts';
import type { Situation } from './dispatch.ts';
import { createKnownAccounts } from './known-accounts.ts';
import type { KnownAccounts } from './known-accounts.ts';
import { loginStateStore } from './login-state.ts';
import type { LoginState } from './login-state.ts';

/** Everything a screen or a step needs to know about the sign-in it belongs to. */
export interface InteractionContext {
  tenantProvider: TenantProvider;
  interaction: Interaction;
  state: LoginState;
  situation: Situation;
  app: { id: string; name: string };
  sessionUser: User | undefined;
  known: { user: User; lastUsedAt: Date }[];
  knownAccounts: KnownAccounts;
  /** `/interaction/<uid>`, below the tenant's path. */
  basePath: string;
}

/** @throws SessionNotFound when the browser has no such sign-in under way, or it ended */
export async function loadInteraction(
  ctx: TenantRequestContext,
  { now }: { now: Clock },
): Promise<InteractionContext> {
  const { tenantProvider } = ctx.state;
  const { provider, context } = tenantProvider;
  const { db, tenant, sealer, mountPath } = context;

  const interaction = await provider.interactionDetails(ctx.req, ctx.res);
  if (interaction.uid !== ctx['params'].uid)
    throw new errors.SessionNotFound('interaction session not found');

  const clientId = String(interaction.params['client_id']);
  const users = userStore(db, tenant.id);
  const knownAccounts = createKnownAccounts({
    sealer,
    now,
    cookieName: cookieNames(context).accounts,
    tenantId: tenant.id,
    secure: context.publicUrl.startsWith('https://'),
  });

  return guarded(async () => {
    const accountId = interaction.session?.accountId;
    const sessionUser = accountId === undefined ? undefined : await users.find(accountId);
    const client = await context.directory.client(clientId);
    const known = await activeAccounts(users, knownAccounts.read(ctx));

    return {
      tenantProvider,
      interaction,
      state: (await loginStateStore(db, tenant.id, sealer).find(interaction.uid)) ?? {
        clientId,
        restarts: 0,
      },
      situation: {
        prompt: interaction.prompt.name,
        loginHint: parseEmail(String(interaction.params['login_hint'] ?? '')),
        knowsAccounts: known.length > 0,
        sessionEmail: sessionUser?.email,
      },
      app: { id: clientId, name: client?.name ?? clientId },
      sessionUser,
      known,
      knownAccounts,
      basePath: `${mountPath}/interaction/${interaction.uid}`,
    };
  });
}

async function activeAccounts(
  users: ReturnType<typeof userStore>,
  remembered: ReturnType<KnownAccounts['read']>,
) {
  const accounts = await Promise.all(
    remembered.map(async ({ id, lastUsedAt }) => ({ user: await users.find(id), lastUsedAt })),
  );
  return accounts.flatMap(({ user, lastUsedAt }) =>
    user?.status === 'active' ? [{ user, lastUsedAt }] : [],
  );
}
