import { setTimeout as pause } from 'node:timers/promises';
import type { ZodError } from 'zod';
import { tryTransactionLock } from '../db/advisory-lock.ts';
import type { Db } from '../db/database.ts';
import { isUniqueViolation } from '../db/database-errors.ts';
import { recordEvent } from '../events/record-event.ts';
import { systemActor } from '../http/actor.ts';
import type { Actor } from '../http/actor.ts';
import { defineErrors } from '../lib/errors.ts';
import { newId } from '../lib/ids.ts';
import { isReservedSlug, isSlug } from './tenant-slug.ts';
import { tenantSettingsPatchSchema, tenantSettingsSchema } from './tenant-settings.ts';
import type { TenantSettingsPatch } from './tenant-settings.ts';
import { tenantStore } from './tenant-store.ts';
import { DEFAULT_TENANT_SLUG } from './tenant.ts';
import type { Tenant } from './tenant.ts';

const fail = defineErrors('tenant', {
  not_found: { status: 404, message: 'There is no such tenant.' },
  slug_invalid: {
    status: 400,
    message:
      'A slug has 1 to 63 lower-case letters, digits and hyphens, and begins and ends with a letter or digit.',
  },
  slug_reserved: { status: 400, message: 'This slug is reserved. Choose another one.' },
  slug_taken: { status: 409, message: 'Another tenant already has this slug. Choose another one.' },
  settings_invalid: { status: 400, message: 'These settings cannot be stored.' },
  name_invalid: { status: 400, message: 'A name has 1 to 80 characters.' },
});

const MAX_NAME = 80;
const DEFAULT_TENANT_ATTEMPTS = 300;
const DEFAULT_TENANT_PAUSE_MS = 100;

export type TenantService = ReturnType<typeof createTenantService>;

interface TenantServiceOptions {
  db: Db;
  now: () => Date;
  /** Gives a new tenant what it cannot serve without (its signing keys), in the transaction that makes it. */
  prepareTenant: (trx: Db, tenantId: string) => Promise<void>;
}

export function createTenantService({ db, now, prepareTenant }: TenantServiceOptions) {
  async function finish(trx: Db, actor: Actor, tenant: Tenant): Promise<Tenant> {
    await prepareTenant(trx, tenant.id);
    await recordEvent(trx, actor, 'tenant.created', {
      target: { type: 'tenant', id: tenant.id },
      data: { slug: tenant.slug, name: tenant.name },
    });
    // Preparing may have raised the version.
    return (await tenantStore(trx).find(tenant.id)) ?? tenant;
  }

  /** @returns undefined when another process has made it or is at it */
  async function createDefault(): Promise<Tenant | undefined> {
    return db.transaction(async (trx) => {
      // Not waiting here: making keys takes longer than a lock may be waited for, so the others look again instead.
      if (!(await tryTransactionLock(trx, 'default-tenant'))) return undefined;
      const tenant = await tenantStore(trx).insertIfAbsent({
        id: newId(now()),
        slug: DEFAULT_TENANT_SLUG,
        name: 'Gatehouse',
      });
      return tenant && finish(trx, systemActor(tenant.id), tenant);
    });
  }

  return {
    /**
     * The tenant at the root of the public URL, made with its keys if there is none yet. Any number of
     * processes may call it at once.
     */
    async ensureDefault(): Promise<Tenant> {
      for (let attempt = 0; attempt < DEFAULT_TENANT_ATTEMPTS; attempt++) {
        if (attempt > 0) await pause(DEFAULT_TENANT_PAUSE_MS);
        const tenant = (await tenantStore(db).findBySlug(DEFAULT_TENANT_SLUG)) ?? (await createDefault());
        if (tenant) return tenant;
      }
      throw new Error('the default tenant was not there in time: another process is still making it');
    },

    /**
     * @param actor the event is recorded in the actor's tenant, where the actor's id has a meaning
     * @throws {AppError} `tenant.slug_invalid`, `tenant.slug_reserved`, `tenant.slug_taken`, `tenant.name_invalid`
     */
    async create(actor: Actor, input: { slug: string; name: string }): Promise<Tenant> {
      const slug = checkSlug(input.slug);
      const name = checkName(input.name);
      try {
        return await db.transaction(async (trx) => {
          const tenant = await tenantStore(trx).insert({ id: newId(now()), slug, name });
          return finish(trx, actor, tenant);
        });
      } catch (err) {
        if (isUniqueViolation(err, 'tenants_slug_key')) throw fail('slug_taken', { cause: err });
        throw err;
      }
    },

    /**
     * Changes what is given and keeps the rest; a setting that is `null` returns to its default. Replicas
     * take it over as they take over keys.
     * @throws {AppError} `tenant.not_found`, `tenant.name_invalid`, `tenant.settings_invalid`
     */
    async update(
      actor: Actor,
      slug: string,
      change: { name?: string | undefined; settings?: TenantSettingsPatch | undefined },
    ): Promise<Tenant> {
      const name = change.name === undefined ? undefined : checkName(change.name);
      return db.transaction(async (trx) => {
        const tenants = tenantStore(trx);
        const found = await tenants.findBySlug(slug);
        if (!found || !(await tenants.lock(found.id))) throw fail('not_found');
        const before = (await tenants.storedSettings(found.id)) ?? {};
        const after = mergeSettings(before, change.settings ?? {});
        await tenants.update(found.id, { name: name ?? found.name, settings: after });
        await tenants.raiseOidcVersion(found.id);
        await recordEvent(trx, actor, 'tenant.updated', {
          target: { type: 'tenant', id: found.id },
          data: {
            before: { name: found.name, settings: before },
            after: { name: name ?? found.name, settings: after },
          },
        });
        return (await tenants.find(found.id)) ?? found;
      });
    },

    list(): Promise<Tenant[]> {
      return tenantStore(db).list();
    },

    /** @throws {AppError} `tenant.not_found` */
    async getBySlug(slug: string): Promise<Tenant> {
      const tenant = await tenantStore(db).findBySlug(slug);
      if (!tenant) throw fail('not_found');
      return tenant;
    },
  };
}

function mergeSettings(stored: Record<string, unknown>, patch: TenantSettingsPatch): Record<string, unknown> {
  const parsed = tenantSettingsPatchSchema.safeParse(patch);
  if (!parsed.success) throw invalidSettings(parsed.error);
  const merged: Record<string, unknown> = { ...stored };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else if (value !== undefined) merged[name] = parsed.data[name as keyof typeof parsed.data];
  }
  const whole = tenantSettingsSchema.safeParse(merged);
  if (!whole.success) throw invalidSettings(whole.error);
  return merged;
}

function invalidSettings(error: ZodError) {
  return fail('settings_invalid', {
    errors: error.issues.map(({ path, message }) => ({
      path: `/settings${path.map((part) => `/${String(part)}`).join('')}`,
      message,
    })),
  });
}

function checkSlug(slug: string): string {
  const refuse = (name: 'slug_invalid' | 'slug_reserved') => {
    const { message } = fail(name);
    return fail(name, { errors: [{ path: '/slug', message }] });
  };
  if (!isSlug(slug)) throw refuse('slug_invalid');
  if (isReservedSlug(slug)) throw refuse('slug_reserved');
  return slug;
}

function checkName(text: string): string {
  const name = text.trim();
  const hasControlCharacters = /\p{Cc}/u.test(name);
  if (name.length === 0 || name.length > MAX_NAME || hasControlCharacters) {
    const { message } = fail('name_invalid');
    throw fail('name_invalid', { errors: [{ path: '/name', message }] });
  }
  return name;
}
