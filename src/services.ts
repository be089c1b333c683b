import { createAccessService } from './access/access-service.ts';
import { createAccountDeletions } from './account-portal/account-deletions.ts';
import { createDataExports } from './account-portal/data-exports.ts';
import { administrators } from './access/administrators.ts';
import { roleStore } from './access/role-store.ts';
import { createSignInAttempts } from './attempts/sign-in-attempts.ts';
import { clientStore } from './clients/client-store.ts';
import { createClientService } from './clients/client-service.ts';
import { ConfigError } from './config.ts';
import type { Config } from './config.ts';
import type { Db } from './db/database.ts';
import { createTranslations } from './i18n/translations.ts';
import { createKeyService } from './keys/key-service.ts';
import { systemClock } from './lib/clock.ts';
import type { Clock } from './lib/clock.ts';
import { createKeyRing } from './lib/key-ring.ts';
import { createSafeFetch } from './lib/safe-fetch.ts';
import type { Logger } from './lib/logger.ts';
import { createSealer } from './lib/sealer.ts';
import { createMailService } from './notifications/mail-service.ts';
import { parseSmtpUrl } from './notifications/smtp-url.ts';
import { createSmtpTransport } from './notifications/smtp-transport.ts';
import { continueEndingAccess, endSomeGrants } from './oidc/adapter/client-access.ts';
import { endSessions, revokeUserAccess } from './oidc/adapter/revoke-access.ts';
import { createLinks } from './one-time-codes/links.ts';
import { createOneTimeCodes } from './one-time-codes/one-time-codes.ts';
import { createAccountLock } from './recovery/account-lock.ts';
import { createEmailChange } from './recovery/email-change.ts';
import { createEmailVerification } from './recovery/email-verification.ts';
import { createPasswordReset } from './recovery/password-reset.ts';
import { createSignInCode } from './recovery/sign-in-code.ts';
import { createInvitations } from './sign-up/invitation.ts';
import { createSignUp } from './sign-up/sign-up.ts';
import { createResourceService } from './resources/resource-service.ts';
import { resourceStore } from './resources/resource-store.ts';
import { locationsFrom } from './sessions/locations.ts';
import type { LocateAddress } from './sessions/locations.ts';
import { createNewDeviceNotice } from './sessions/new-device.ts';
import { createSessionService } from './sessions/session-service.ts';
import { createSetupService } from './setup/setup-service.ts';
import { announcing } from './tenants/tenant-changes.ts';
import { createTenantService } from './tenants/tenant-service.ts';
import { blocklistFile } from './users/blocklist-file.ts';
import { breachedPasswords } from './users/breached-passwords.ts';
import { commonPasswords } from './users/common-passwords.ts';
import { createOwnerNotices } from './users/owner-notices.ts';
import { createPasswordHasher } from './users/password-hasher.ts';
import { createPasswordPolicy } from './users/password-policy.ts';
import { createPasswordSignIn } from './users/password-sign-in.ts';
import { savedLocales } from './users/saved-locale.ts';
import { createSignInAdmission } from './users/sign-in-admission.ts';
import { createTemporaryPasswords } from './users/temporary-passwords.ts';
import { createPreferenceService } from './users/preferences.ts';
import { createUserActivity } from './users/user-activity.ts';
import { createUserExport } from './users/transfer/user-export.ts';
import { createUserImport } from './users/transfer/user-import.ts';
import { createUserService } from './users/user-service.ts';

/**
 * Every feature, wired: what one needs of another is handed to it here, so that features do not know
 * each other. The server and the command line build on the same services.
 */
export type Services = ReturnType<typeof createServices>;

export interface ServicesOptions {
  config: Config;
  db: Db;
  log: Logger;
  now?: Clock;
  /** Called after the commit of a change that replicas hold in memory. */
  tenantChanged?: (tenantId: string) => void;
}

/** A resource may let its tokens live a day, which is longer than any ID token. */
const LONGEST_TOKEN_SECONDS = 86_400;
const LOCALES = new URL('../locales/', import.meta.url).pathname;
/** Beyond it, waiting for a password to be checked would take longer than people wait. */
const HASHER_QUEUE_PER_WORKER = 32;
/** One is hashed, the others are with the database. */
const SIGN_INS_PER_HASHER = 4;

/** People wait for it. */
const BREACH_LOOKUP_MS = 1500;

export function createServices({
  config,
  db: pool,
  log,
  now = systemClock,
  tenantChanged = () => {},
}: ServicesOptions) {
  const db = announcing(pool, tenantChanged);
  const translations = createTranslations({ dir: LOCALES });
  const keyRing = createKeyRing(config.keys);
  const sealer = createSealer(keyRing);
  const hibpFetch = createSafeFetch({ allow: config.outboundAllow, timeoutMs: BREACH_LOOKUP_MS });
  const hasher = createPasswordHasher({
    peppers: createKeyRing(config.peppers),
    concurrency: config.passwordHashers,
    maxQueue: config.passwordHashers * HASHER_QUEUE_PER_WORKER,
  });
  const passwordPolicy = createPasswordPolicy({
    minLength: config.passwordMinLength,
    minLengthWithSecondFactor: config.passwordMinLengthWithMfa,
    serviceWords: ['Gatehouse', new URL(config.publicUrl).hostname],
    blocklists: [
      commonPasswords,
      ...(config.passwordBlocklist ? [blocklistFile(config.passwordBlocklist)] : []),
      ...(config.passwordHibpUrl
        ? [breachedPasswords({ url: config.passwordHibpUrl, fetch: hibpFetch, log })]
        : []),
    ],
  });

  const mail = createMailService({
    db,
    sealer,
    translations,
    settings: config.mail,
    transport:
      config.mail?.smtpUrl === undefined ? undefined : createSmtpTransport(parseSmtpUrl(config.mail.smtpUrl)),
    readerLocale: (trx, tenantId, recipient) => savedLocales(trx, tenantId).ofReader(recipient),
    log,
  });

  const keys = createKeyService({
    db,
    sealer,
    now,
    jwksMaxAgeSeconds: config.jwksMaxAgeSeconds,
    longestTokenSeconds: LONGEST_TOKEN_SECONDS,
    rotationDays: config.keyRotationDays,
  });
  const tenants = createTenantService({ db, now, prepareTenant: keys.ensureKeys });
  const signInAttempts = createSignInAttempts({
    db,
    limits: config.signInLimits,
    onClosed: (actor, account) =>
      accountLock.lock(actor, account, { seconds: config.signInLimits?.lockSeconds }),
  });
  const enqueueMail = mail.isAvailable ? mail.enqueue : undefined;
  const tellOwner = createOwnerNotices({ enqueueMail });
  const usersOn = (on: Db) =>
    createUserService({
      db: on,
      now,
      hasher,
      passwordPolicy,
      revokeAccess: revokeUserAccess,
      forgetFailures: (trx, tenantId, email) => signInAttempts.forget(trx, tenantId, email),
      tellOwner,
    });
  const users = usersOn(db);
  const userImport = createUserImport({ db, now, hasher, rolesOn: roleStore });
  const userExport = createUserExport({ db, hasher, rolesOn: roleStore });
  const admitSignIn = createSignInAdmission({
    atOnce: config.passwordHashers * SIGN_INS_PER_HASHER,
    mostWaiting: config.passwordHashers * (1 + HASHER_QUEUE_PER_WORKER - SIGN_INS_PER_HASHER),
  });
  const passwordSignIn = createPasswordSignIn({ db, now, hasher, attempts: signInAttempts });
  const temporaryPasswords = createTemporaryPasswords({ db, hasher, usersOn });
  const codes = createOneTimeCodes({ db, keyRing, sealer, enqueueMail: mail.enqueue });
  const links = createLinks({ db, publicUrl: config.publicUrl });
  const mailedDeps = { db, codes, links, enqueueMail: mail.enqueue, usersOn };
  const accountLock = createAccountLock({
    ...mailedDeps,
    now,
    isMailAvailable: mail.isAvailable,
  });
  const passwordReset = createPasswordReset({ ...mailedDeps, attempts: signInAttempts });
  const signInCode = createSignInCode({ ...mailedDeps, attempts: signInAttempts });
  const signUp = createSignUp(mailedDeps);
  const preferences = createPreferenceService({ db, now, usersOn });
  const activity = createUserActivity({ db, now });
  const access = createAccessService({ db });
  const invitations = createInvitations({ ...mailedDeps, isMailAvailable: mail.isAvailable });
  const emailVerification = createEmailVerification(mailedDeps);
  const emailChange = createEmailChange(mailedDeps);
  const clients = createClientService({
    db,
    now,
    allowLocalHttp: !config.production,
    async checkMetadata(metadata) {
      // The engine takes longer to load than most commands take to run, and few of them need it.
      const { checkClientMetadata } = await import('./oidc/check-client-metadata.ts');
      await checkClientMetadata(metadata);
    },
    async beginEndingAccess(client) {
      await continueEndingAccess(db, client).catch((err: unknown) => {
        log.warn({ err, client_id: client.clientId }, 'the grants of a client are left to the job');
      });
    },
    finishEndingAccess: async (trx, tenantId, clientId) =>
      (await endSomeGrants(trx, tenantId, clientId)).isDone,
    resourceExists: async (reader, tenantId, identifier) =>
      (await resourceStore(reader, tenantId).findByIdentifier(identifier)) !== undefined,
  });
  const resources = createResourceService({
    db,
    now,
    clientExists: async (reader, tenantId, clientId) =>
      (await clientStore(reader, tenantId).find(clientId)) !== undefined,
  });
  const sessions = createSessionService({ db, endSessions });
  const noticeNewDevice = createNewDeviceNotice({
    db,
    enqueueMail,
    locate: config.geoipFile === undefined ? undefined : locationsOf(config.geoipFile),
  });
  const dataExports = createDataExports({ db, sealer, publicUrl: config.publicUrl, enqueueMail });
  const accountDeletions = createAccountDeletions({
    db,
    usersOn,
    revokeAccess: revokeUserAccess,
    enqueueMail,
  });
  const setup = createSetupService({
    db,
    now,
    publicUrl: config.publicUrl,
    usersOn,
    administrators,
  });

  return {
    translations,
    keyRing,
    sealer,
    hasher,
    passwordPolicy,
    mail,
    tenants,
    keys,
    users,
    usersOn,
    userImport,
    userExport,
    signInAttempts,
    passwordSignIn,
    temporaryPasswords,
    admitSignIn,
    accountLock,
    passwordReset,
    signInCode,
    signUp,
    preferences,
    activity,
    access,
    codes,
    invitations,
    emailVerification,
    emailChange,
    clients,
    resources,
    sessions,
    noticeNewDevice,
    dataExports,
    accountDeletions,
    setup,
  };
}

/** @throws {ConfigError} when the operator's file cannot be used */
function locationsOf(path: string): LocateAddress {
  try {
    return locationsFrom(path);
  } catch (err) {
    const reason = err instanceof Error ? err.message : String(err);
    throw new ConfigError([`GATEHOUSE_GEOIP_FILE: cannot use ${path} (${reason})`]);
  }
}
