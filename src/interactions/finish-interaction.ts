import { randomBytes } from 'node:crypto';
import { errors } from 'oidc-provider';
import type { Interaction, InteractionResults } from 'oidc-provider';
import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import { eventRow, INSERT_EVENT, recordEvent } from '../events/record-event.ts';
import { anonymousActor } from '../http/request-state.ts';
import { defineErrors } from '../lib/errors.ts';
import { ALL_HOLD } from '../oidc/adapter/deferred-writes.ts';
import type { DeferredWrites } from '../oidc/adapter/deferred-writes.ts';
import { inUnitOfWork } from '../oidc/adapter/unit-of-work.ts';
import type { UnitOfWork } from '../oidc/adapter/unit-of-work.ts';
import { guardProof, judgeProof } from '../oidc/adapter/sign-in-guards.ts';
import { guarded } from '../oidc/adapter/store-errors.ts';
import { cookieNames, cookiesConfiguration } from '../oidc/configuration/cookies.ts';
import { resumeAuthorization } from '../oidc/grants/in-process.ts';
import type { Redirect } from '../oidc/grants/in-process.ts';
import { PORTAL_PATH } from '../oidc/extensions/portal-client.ts';
import type { TenantRequestContext } from '../oidc/tenant-state.ts';
import type { NoticeNewDevice } from '../sessions/new-device.ts';
import type { User } from '../users/user.ts';
import type { InteractionContext } from './interaction-context.ts';

type LoginResult = InteractionResults & { login: { accountId: string } };

const fail = defineErrors('interaction', {
  account_closed: { status: 403, message: 'This account cannot be used any more.' },
});

/**
 * Hands the outcome to the engine. The interaction is locked, so that of two answers given at once the
 * second one meets the first one's result; what the outcome changes and its event commit together.
 * @param result runs in the same transaction; what it returns is stored as the interaction's result
 * @returns where the browser goes on
 */
export async function finishInteraction(
  ctx: TenantRequestContext,
  { tenantProvider }: InteractionContext,
  result: (trx: Db) => Promise<InteractionResults>,
): Promise<string> {
  const { provider, context } = tenantProvider;
  const actor = anonymousActor(ctx, context.tenant.id);
  let returnTo = '';
  await guarded(() =>
    inUnitOfWork({ db: context.db, kind: 'browser', actor: () => actor }, async (unit) => {
      await provider.interactionDetails(ctx.req, ctx.res);
      const outcome = await result(await unit.transaction());
      const isRefusal = 'error' in outcome;
      returnTo = await provider.interactionResult(ctx.req, ctx.res, outcome, {
        mergeWithLastSubmission: !isRefusal,
      });
      return true;
    }),
  );
  return returnTo;
}

/** Somebody proved who they are. */
export async function finishLogin(
  ctx: TenantRequestContext,
  interaction: InteractionContext,
  { user, methods, at }: { user: User; methods: string[]; at: Date },
  { noticeNewDevice }: { noticeNewDevice: NoticeNewDevice },
): Promise<string> {
  await noticeUnknownBrowser(ctx, interaction, user, noticeNewDevice);
  interaction.knownAccounts.remember(ctx, user.id);
  const { id: userId, tenantId, accessVersion } = user;
  const proof = { tenantId, userId, accessVersion };
  const outcome = {
    login: {
      accountId: userId,
      amr: methods,
      ts: Math.floor(at.getTime() / 1000),
      remember: true,
      accessVersion,
    },
    // Choosing whose password to type is choosing an account.
    ...(interaction.situation.prompt === 'select_account' ? { select_account: {} } : {}),
    ...(interaction.situation.prompt === 'create' ? { create: {} } : {}),
  };
  const event = eventRow({ ...anonymousActor(ctx, user.tenantId), type: 'user', id: user.id }, 'user.login', {
    target: { type: 'user', id: user.id },
    data: { client_id: interaction.app.id, amr: methods },
  });

  const goOn = await finishUnlocked(ctx, interaction, outcome, (deferred) => {
    guardProof(deferred, 'page', proof);
    deferred.write('event', {
      name: '+event',
      sql: `${INSERT_EVENT} WHERE ${ALL_HOLD}`,
      bindings: event,
    });
  });
  if (goOn !== undefined) return goOn;

  const settle = async (trx: Db) => {
    const judged = await judgeProof(trx, 'page', proof, { isLocked: true });
    if (judged === 'closed') throw fail('account_closed');
    if (judged === 'outdated') throw new ProofOutdated();
    await prepared(trx, 'record-event', INSERT_EVENT, event);
    return outcome;
  };
  try {
    return await finishInteraction(ctx, interaction, settle).catch((err: unknown) => {
      if (!(err instanceof errors.SessionNotFound) || !endsAtOnce(interaction.interaction)) throw err;
      return finishAnew(ctx, interaction, settle);
    });
  } catch (err) {
    if (err instanceof ProofOutdated) return interaction.basePath;
    throw err;
  }
}

/** All access of the person has ended since they proved who they are: they prove it once more. */
class ProofOutdated extends errors.OIDCProviderError {
  constructor() {
    super(400, 'access_ended');
  }
}

/** A browser that remembers the account, or is signed in to it, is nothing to tell of, and costs no query. */
async function noticeUnknownBrowser(
  ctx: TenantRequestContext,
  { known, sessionUser, interaction, tenantProvider }: InteractionContext,
  user: User,
  notice: NoticeNewDevice,
): Promise<void> {
  if (sessionUser?.id === user.id || known.some((account) => account.user.id === user.id)) return;
  const actor = { ...anonymousActor(ctx, user.tenantId), type: 'user' as const, id: user.id };
  await guarded(() =>
    notice(actor, user, {
      occasion: interaction.uid,
      devicesUrl: `${tenantProvider.context.issuer}${PORTAL_PATH}/devices`,
      locale: ctx.state.language.translator().locale,
    }),
  );
}

/**
 * The same in one statement, if the interaction is still as this request has read it.
 * @param writes adds what goes with the outcome
 * @returns undefined when something is different, or has to be shown to the person, and nothing was written
 */
async function finishUnlocked(
  ctx: TenantRequestContext,
  context: InteractionContext,
  outcome: LoginResult,
  writes: (deferred: DeferredWrites) => void,
): Promise<string | undefined> {
  const { tenantProvider, interaction, stored, app } = context;
  const { provider, context: tenantContext } = tenantProvider;
  const actor = anonymousActor(ctx, tenantContext.tenant.id);
  const options = {
    db: tenantContext.db,
    kind: 'browser',
    isOptimistic: true,
    clientId: app.id,
    actor: () => actor,
  } as const;
  let goOn: string | undefined;
  await guarded(() =>
    inUnitOfWork(options, async (unit) => {
      unit.interactions.set(interaction.uid, stored);
      writes(unit.deferred);
      const redirect = endsAtOnce(interaction)
        ? await endAtOnce(ctx, context, outcome, unit)
        : {
            location: await provider.interactionResult(ctx.req, ctx.res, outcome, {
              mergeWithLastSubmission: true,
            }),
          };
      if (!redirect || !(await unit.writeDeferred())) return false;
      if (redirect.cookies) ctx.set('Set-Cookie', redirect.cookies);
      goOn = redirect.location;
      return false;
    }),
  );
  return goOn;
}

/** Response modes that end in a redirect; the others are a page of their own. */
const REDIRECTING = new Set<unknown>(['query', 'fragment']);

/** Who is signed in and proves it again gets a new session id, which a browser must not miss. */
function endsAtOnce({ session, params }: Interaction): boolean {
  return session === undefined && REDIRECTING.has(params['response_mode'] ?? 'query');
}

/** What the engine does when the browser comes back to it is done at once, and the browser sent where that leads. */
async function endAtOnce(
  ctx: TenantRequestContext,
  { tenantProvider, interaction, known }: InteractionContext,
  outcome: LoginResult,
  unit: UnitOfWork,
): Promise<Redirect | undefined> {
  const person = known.find(({ user }) => user.id === outcome.login.accountId);
  if (person) unit.accounts.set(person.user.id, { ...person, roles: undefined });
  interaction.result = { ...interaction.lastSubmission, ...outcome };
  await interaction.persist();
  unit.takesRequests = true;
  return resumeAuthorization(tenantProvider, ctx, interaction.uid);
}

/**
 * An impatient person sends the last answer twice, and the browser waits for the second one alone. By then, or before
 * the second has even come, the first has ended the interaction; the second was proved as well, and goes on with the
 * interaction under another name.
 */
async function finishAnew(
  ctx: TenantRequestContext,
  { tenantProvider, interaction }: InteractionContext,
  result: (trx: Db) => Promise<InteractionResults>,
): Promise<string> {
  const { context } = tenantProvider;
  const actor = anonymousActor(ctx, context.tenant.id);
  const uid = randomBytes(16).toString('base64url');
  const returnTo = interaction.returnTo.replace(interaction.uid, uid);
  await guarded(() =>
    inUnitOfWork({ db: context.db, kind: 'browser', actor: () => actor }, async (unit) => {
      const outcome = await result(await unit.transaction());
      Object.assign(interaction, { uid, returnTo, result: { ...interaction.lastSubmission, ...outcome } });
      await interaction.save(LIFE_SECONDS);
      return true;
    }),
  );
  ctx.cookies.set(cookieNames(context).resume, uid, {
    ...cookiesConfiguration(context).short,
    path: new URL(returnTo).pathname,
    maxAge: LIFE_SECONDS * 1000,
  });
  return returnTo;
}

/** The browser is sent there at once. */
const LIFE_SECONDS = 60;

export function finishWithRefusal(
  ctx: TenantRequestContext,
  interaction: InteractionContext,
): Promise<string> {
  return finishInteraction(ctx, interaction, async (trx) => {
    const { situation, sessionUser, app } = interaction;
    if (situation.prompt === 'consent' && sessionUser) {
      const { id, tenantId } = sessionUser;
      const actor = { ...anonymousActor(ctx, tenantId), type: 'user' as const, id };
      await recordEvent(trx, actor, 'consent.denied', {
        target: { type: 'client', id: app.id },
        data: { user_id: id },
      });
    }
    return { error: 'access_denied', error_description: 'the person did not continue' };
  });
}
