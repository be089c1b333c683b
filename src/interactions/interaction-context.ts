import { decodeJwt } from 'jose';
import { errors } from 'oidc-provider';
import type { Interaction } from 'oidc-provider';
import { z } from 'zod';
import type { Client } from '../clients/client.ts';
import { PORTAL_CLIENT_ID } from '../oidc/extensions/portal-client.ts';
import type { TenantProvider } from '../oidc/provider-registry.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import { guarded } from '../oidc/adapter/store-errors.ts';
import type { StoredModel } from '../oidc/adapter/stored-model.ts';
import { inUnitOfWork } from '../oidc/adapter/unit-of-work.ts';
import { anonymousActor } from '../http/request-state.ts';
import type { Clock } from '../lib/clock.ts';
import { parseEmail } from '../users/email-address.ts';
import { passwordStore } from '../users/password-store.ts';
import { userStore } from '../users/user-store.ts';
import { keepsAccess } from '../users/user.ts';
import type { User } from '../users/user.ts';
import type { UserProfile } from '../users/user-claims.ts';
import type { Situation } from './dispatch.ts';
import { createKnownAccounts } from './known-accounts.ts';
import { readInteraction } from './interaction-read.ts';
import type { KnownAccounts } from './known-accounts.ts';
import { loginStateStore } from './login-state.ts';
import type { LoginState } from './login-state.ts';

const subSchema = z.object({ value: z.string() });

/** Everything a screen or a step needs to know about the sign-in it belongs to. */
export interface InteractionContext {
  tenantProvider: TenantProvider;
  interaction: Interaction;
  /** The row of the interaction as this request has read it. */
  stored: StoredModel;
  state: LoginState;
  situation: Situation;
  app: { id: string; name: string };
  sessionUser: User | undefined;
  known: { user: User; profile: UserProfile; lastUsedAt: Date }[];
  knownAccounts: KnownAccounts;
  /** `/interaction/<uid>`, below the tenant's path. */
  basePath: string;
}

export interface LoadOptions {
  /** One that has ended is loaded as well, if no longer ago than this; nothing can be written to it any more. */
  endedSeconds?: number;
}

/**
 * @param deps.mailed absent where no mail can be sent
 * @throws SessionNotFound when the browser has no such sign-in under way, or it ended
 */
export async function loadInteraction(
  ctx: TenantRequestContext,
  { now, mailed }: { now: Clock; mailed?: object | undefined },
  { endedSeconds }: LoadOptions = {},
): Promise<InteractionContext> {
  const { tenantProvider } = ctx.state;
  const { context } = tenantProvider;
  const { db, tenant, sealer, mountPath } = context;

  const uid = String(ctx['params'].uid);
  const knownAccounts = createKnownAccounts(context, { now });
  const remembered = knownAccounts.read(ctx);
  const rememberedIds = remembered.map(({ id }) => id);
  const found = await guarded(() => readInteraction(db, tenant.id, uid, rememberedIds, endedSeconds));
  const interaction = await interactionOf(ctx, uid, found?.stored);
  if (!found || interaction.uid !== uid) throw new errors.SessionNotFound('interaction session not found');

  ctx.state.language.learn({ uiLocales: textOf(interaction.params['ui_locales']) });

  const clientId = String(interaction.params['client_id']);

  return guarded(async () => {
    const client = await context.directory.client(clientId);
    const accountId = interaction.session?.accountId;
    const isStranger = accountId !== undefined && !rememberedIds.includes(accountId);
    const signedIn = isStranger ? await userStore(db, tenant.id).findWithProfile(accountId) : undefined;
    const people = [...found.people, ...(signedIn ? [signedIn] : [])];
    const personOf = (id: string) => people.find(({ user }) => user.id === id && keepsAccess(user));
    const inSession = accountId === undefined ? undefined : personOf(accountId);
    const sessionUser = inSession?.user;
    const known = remembered.flatMap(({ id, lastUsedAt }) => {
      const person = personOf(id);
      return person ? [{ ...person, lastUsedAt }] : [];
    });
    // Whoever signed out here comes back to pages in the same language.
    ctx.state.language.learn({ account: (inSession ?? known[0])?.profile.claims.locale });
    const demanded = demandedUser(interaction);
    const confirming = demanded === undefined ? sessionUser : undefined;

    return {
      tenantProvider,
      interaction,
      stored: found.stored,
      state: found.state
        ? loginStateStore(db, tenant.id, sealer).open(uid, found.state)
        : { clientId, restarts: 0 },
      situation: {
        prompt: interaction.prompt.name,
        // Only to a browser that knows the account: the app holds an id, and an address is not its to learn.
        loginHint:
          known.find(({ user }) => user.id === demanded)?.user.email ??
          parseEmail(textOf(interaction.params['login_hint'])),
        knowsAccounts: known.length > 0,
        onlyKnownEmail: demanded === undefined && known.length === 1 ? known[0]?.user.email : undefined,
        offersSignUp: mailed !== undefined && tenant.settings.signUp !== 'off',
        sessionEmail: confirming?.email,
        provesByCode:
          confirming !== undefined &&
          interaction.prompt.name === 'login' &&
          mailed !== undefined &&
          tenant.settings.magicLink &&
          !(await passwordStore(db, tenant.id).exists(confirming.id)),
      },
      app: { id: clientId, name: appName(ctx, clientId, client) },
      sessionUser,
      known,
      knownAccounts,
      basePath: `${mountPath}/interaction/${interaction.uid}`,
    };
  });
}

/** As the engine sees it; it asks for the row of the browser's cookie, which has been read already unless it is another one. */
async function interactionOf(
  { req, res, state }: TenantRequestContext,
  uid: string,
  stored: StoredModel | undefined,
): Promise<Interaction> {
  const { provider, context } = state.tenantProvider;
  const { promise, resolve } = Promise.withResolvers<Interaction>();
  const actor = anonymousActor({ req }, context.tenant.id);
  await inUnitOfWork({ db: context.db, kind: 'read', actor: () => actor }, async (unit) => {
    unit.interactions.set(uid, stored);
    resolve(await provider.interactionDetails(req, res));
    return false;
  });
  return promise;
}

/** The portal has no name but what it is. */
function appName(ctx: TenantRequestContext, clientId: string, client: Client | undefined): string {
  if (clientId === PORTAL_CLIENT_ID) return ctx.state.language.translator().t('account.app_name');
  return client?.name ?? clientId;
}

/**
 * Whom the app demands instead of who is signed in, by an ID token or the `sub` claim (OpenID Connect Core
 * §3.1.2.1, §5.5.1). The engine has verified the token.
 */
function demandedUser({ prompt, params }: Interaction): string | undefined {
  if (prompt.reasons.includes('id_token_hint')) return decodeJwt(String(params['id_token_hint'])).sub;
  if (!prompt.reasons.includes('claims_id_token_sub_value')) return undefined;
  return subSchema.safeParse(prompt.details['sub']).data?.value;
}

/** The engine has refused repeated parameters, so each is text or absent. */
export function textOf(parameter: unknown): string {
  return typeof parameter === 'string' ? parameter : '';
}
