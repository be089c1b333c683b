import type { Db } from '../db/database.ts';
import { isId } from '../lib/ids.ts';
import { announceAfterCommit } from './tenant-changes.ts';
import { parseTenantSettings } from './tenant-settings.ts';
import { isSlug } from './tenant-slug.ts';
import type { Tenant } from './tenant.ts';

interface TenantRow {
  updated_at?: unknown;
  id: string;
  slug: string;
  name: string;
  oidc_version: number;
  config_version: number;
  disabled_at: Date | null;
  settings: unknown;
}

const COLUMNS = ['id', 'slug', 'name', 'oidc_version', 'config_version', 'disabled_at', 'settings'] as const;

/** Queries of the `tenants` table. A deleted tenant is found by none of them. */
export function tenantStore(db: Db) {
  const rows = () => db<TenantRow>('tenants').whereNull('deleted_at');

  return {
    async find(id: string): Promise<Tenant | undefined> {
      if (!isId(id)) return undefined;
      const row = await rows()
        .where({ id })
        .first(...COLUMNS);
      return row && fromRow(row);
    },

    async findBySlug(slug: string): Promise<Tenant | undefined> {
      if (!isSlug(slug)) return undefined;
      const row = await rows()
        .where({ slug })
        .first(...COLUMNS);
      return row && fromRow(row);
    },

    /** All tenants, oldest first. */
    async list(): Promise<Tenant[]> {
      return (
        await rows()
          .select(...COLUMNS)
          .orderBy('id')
      ).map(fromRow);
    },

    /** @throws a unique violation of `tenants_slug_key`; a deleted tenant's slug stays taken */
    async insert(tenant: Pick<Tenant, 'id' | 'slug' | 'name'>): Promise<Tenant> {
      const [row] = await db<TenantRow>('tenants').insert(toRow(tenant)).returning('*');
      if (!row) throw new Error('an insert returned no row');
      return fromRow(row);
    },

    /** @returns undefined when the slug is taken */
    async insertIfAbsent(tenant: Pick<Tenant, 'id' | 'slug' | 'name'>): Promise<Tenant | undefined> {
      const [row] = await db<TenantRow>('tenants')
        .insert(toRow(tenant))
        .onConflict('slug')
        .ignore()
        .returning('*');
      return row && fromRow(row);
    },

    /**
     * Holds the row until the transaction ends, so that changes of the tenant come one after the other.
     * Rows that refer to the tenant can be written meanwhile.
     * @returns false when there is no such tenant
     */
    async lock(id: string): Promise<boolean> {
      return (await rows().where({ id }).forNoKeyUpdate().first('id')) !== undefined;
    },

    /**
     * @param settings what differs from the defaults, as it is stored
     * @throws a database error when there is no such tenant
     */
    async update(id: string, { name, settings }: { name: string; settings: object }): Promise<Tenant> {
      const [row] = await rows()
        .where({ id })
        .update({ name, settings: JSON.stringify(settings), updated_at: db.fn.now() })
        .returning(COLUMNS);
      if (!row) throw new Error('an update returned no row');
      return fromRow(row);
    },

    /** As it is stored: without defaults, with whatever another version has added. */
    async storedSettings(id: string): Promise<Record<string, unknown> | undefined> {
      return (await rows().where({ id }).first('settings'))?.settings as Record<string, unknown> | undefined;
    },

    /** Call it in the transaction of the change, so that no replica sees the version before the change. */
    async raiseOidcVersion(id: string): Promise<void> {
      await db.raw('UPDATE tenants SET oidc_version = oidc_version + 1, updated_at = now() WHERE id = ?', [
        id,
      ]);
      announceAfterCommit(db, id);
    },

    /** Call it in the transaction of the change, so that no replica sees the version before the change. */
    async raiseConfigVersion(id: string): Promise<void> {
      await db.raw(
        'UPDATE tenants SET config_version = config_version + 1, updated_at = now() WHERE id = ?',
        [id],
      );
      announceAfterCommit(db, id);
    },

    /** What replicas poll to learn that something they hold in memory has changed. */
    async versions(ids: readonly string[]): Promise<Pick<Tenant, 'id' | 'oidcVersion' | 'configVersion'>[]> {
      const list = await rows().select('id', 'oidc_version', 'config_version').whereIn('id', ids);
      return list.map((row) => ({
        id: row.id,
        oidcVersion: row.oidc_version,
        configVersion: row.config_version,
      }));
    },
  };
}

function toRow({ id, slug, name }: Pick<Tenant, 'id' | 'slug' | 'name'>) {
  return { id, slug, name };
}

function fromRow(row: TenantRow): Tenant {
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    oidcVersion: row.oidc_version,
    configVersion: row.config_version,
    disabledAt: row.disabled_at,
    settings: parseTenantSettings(row.settings),
  };
}
