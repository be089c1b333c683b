import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { later, minutes } from '../lib/clock.ts';
import type { Clock } from '../lib/clock.ts';
import { defineErrors } from '../lib/errors.ts';
import { newId, newSecret, sha256 } from '../lib/ids.ts';
import { issuerOf } from '../tenants/tenant.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import type { User } from '../users/user.ts';
import { setupLinkStore } from './setup-link-store.ts';

/**
 * The way to an administrator where there is none: a single-use link that the operator reads from the log or the command
 * line. Nobody exists by default and nothing can be set up without such a link, so a fresh server that is reachable by all
 * belongs to nobody else (ASVS 6.3.2). A link works beside existing administrators too, for when they are locked out.
 */

const LINK_LIFE_MINUTES = 30;
/** How long the link still tells who was made with it, for the page after the form. */
const OUTCOME_MINUTES = 10;

const fail = defineErrors('setup', {
  link_invalid: {
    status: 410,
    message: 'This set-up link was used or has expired. Make a new one: gatehouse admin link',
  },
  tenant_not_found: { status: 404, message: 'There is no such tenant.' },
});

/** What the form asks for. */
export interface FirstAdministrator {
  email: string;
  name: string;
  password: string;
}

/** `expired` also says that there never was such a link, or that a newer one replaced it. */
export type LinkState = 'open' | 'used' | 'expired';

export interface SetupDeps {
  db: Db;
  now: Clock;
  /** The configured origin: the link must not depend on a request. */
  publicUrl: string;
  /** The user service on a transaction, so that the user and the use of the link commit together. */
  usersOn: (db: Db) => {
    create(
      actor: Actor,
      input: { email: string; password: string; claims: Record<string, unknown> },
    ): Promise<User>;
  };
  administrators: (
    db: Db,
    tenantId: string,
  ) => { exist(): Promise<boolean>; add(userId: string): Promise<void> };
}

export type SetupService = ReturnType<typeof createSetupService>;

export function createSetupService({ db, now, publicUrl, usersOn, administrators }: SetupDeps) {
  return {
    /** Whether the tenant has no administrator yet. */
    isNeeded: async (tenantId: string): Promise<boolean> => !(await administrators(db, tenantId).exist()),

    /**
     * Makes a link and ends the tenant's older ones. The URL holds the secret and is told once; only its hash is stored.
     * @throws {AppError} `setup.tenant_not_found`
     */
    async issueLink(actor: Actor): Promise<{ url: string; expiresAt: Date }> {
      const tenant = await tenantStore(db).find(actor.tenantId);
      if (!tenant) throw fail('tenant_not_found');
      const token = newSecret();
      const at = now();
      const expiresAt = later(at, minutes(LINK_LIFE_MINUTES));

      await db.transaction(async (trx) => {
        const links = setupLinkStore(trx, actor.tenantId);
        await links.lock();
        await links.expireAll(at);
        await links.insert({ id: newId(at), tokenHash: sha256(token), expiresAt });
        await recordEvent(trx, actor, 'admin.link_issued', {
          target: { type: 'tenant', id: actor.tenantId },
          data: { expiresAt },
        });
      });
      return { url: `${issuerOf(publicUrl, tenant)}/setup?token=${token}`, expiresAt };
    },

    /** Looks at a link without using it: mail scanners and previews fetch addresses as well. */
    async inspect(tenantId: string, token: string): Promise<LinkState> {
      const link = await setupLinkStore(db, tenantId).find(sha256(token));
      if (!link) return 'expired';
      if (link.consumedAt) return 'used';
      return link.expiresAt > now() ? 'open' : 'expired';
    },

    /** Who was made with the link a moment ago; nobody for any other link. */
    async outcomeOf(tenantId: string, token: string): Promise<{ email: string } | undefined> {
      const since = later(now(), -minutes(OUTCOME_MINUTES));
      return setupLinkStore(db, tenantId).findOutcome(sha256(token), since);
    },

    /**
     * Makes the administrator. Of any number of attempts with one link one succeeds, and only that one uses it up: a refused
     * password leaves it as it was.
     * @param actor the anonymous visitor
     * @throws {AppError} `setup.link_invalid` (410); what creating a user throws
     */
    async complete(
      actor: Actor,
      token: string,
      { email, name, password }: FirstAdministrator,
    ): Promise<User> {
      return db.transaction(async (trx) => {
        const links = setupLinkStore(trx, actor.tenantId);
        // First, and by its own row count: whoever comes second waits here until the first has committed.
        const linkId = await links.consume(sha256(token), now());
        if (linkId === undefined) throw fail('link_invalid');

        const user = await usersOn(trx).create(actor, { email, password, claims: { name } });
        await administrators(trx, actor.tenantId).add(user.id);
        await links.setOutcome(linkId, user.id);
        await recordEvent(trx, actor, 'admin.created', { target: { type: 'user', id: user.id } });
        return user;
      });
    },
  };
}
