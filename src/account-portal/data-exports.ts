import type { Db } from '../db/database.ts';
import { recordEvent } from '../events/record-event.ts';
import type { Actor } from '../http/actor.ts';
import { systemActor } from '../http/actor.ts';
import { isId, newId } from '../lib/ids.ts';
import type { Sealer } from '../lib/sealer.ts';
import type { EnqueueMail } from '../notifications/mail-outbox.ts';
import { issuerOf } from '../tenants/tenant.ts';
import { tenantStore } from '../tenants/tenant-store.ts';
import { userStore } from '../users/user-store.ts';
import { PORTAL_PATH } from '../oidc/extensions/portal-client.ts';
import { personalData } from './personal-rows.ts';

/** Copies of people's own data, made on request, kept sealed for a week or until there is a newer one. */
export interface DataExport {
  id: string;
  createdAt: Date;
  /** Null while it is being made. */
  readyAt: Date | null;
  expiresAt: Date;
}

const KEPT_DAYS = 7;
/** Characters; each part is sealed, stored and sent by itself. */
const PART_SIZE = 256 * 1024;

export type DataExports = ReturnType<typeof createDataExports>;

export function createDataExports({
  db,
  sealer,
  publicUrl,
  enqueueMail,
}: {
  db: Db;
  sealer: Sealer;
  publicUrl: string;
  enqueueMail: EnqueueMail | undefined;
}) {
  const placeOf = (id: string) => `data_exports:content_sealed:${id}`;
  const placeOfPart = (id: string, position: number) => `data_export_parts:content_sealed:${id}:${position}`;
  const own = (actor: Actor & { id: string }) =>
    db<ExportRow>('data_exports')
      .where({ tenant_id: actor.tenantId, user_id: actor.id })
      .where('expires_at', '>', db.fn.now());

  return {
    /** One at a time: whoever asks again while one is being made waits for that one. */
    async request(actor: Actor & { id: string }, { locale }: { locale: string }): Promise<void> {
      await db.transaction(async (trx) => {
        const rows = await trx('data_exports')
          .insert({
            id: newId(),
            tenant_id: actor.tenantId,
            user_id: actor.id,
            locale,
            expires_at: trx.raw('now() + make_interval(days => ?)', [KEPT_DAYS]),
          })
          .onConflict(trx.raw('(user_id) WHERE ready_at IS NULL'))
          .ignore()
          .returning('id');
        if (rows.length === 0) return;
        await recordEvent(trx, actor, 'user.export_requested', { target: { type: 'user', id: actor.id } });
      });
    },

    async latest(actor: Actor & { id: string }): Promise<DataExport | undefined> {
      const row = await own(actor).orderBy('id', 'desc').first('id', 'created_at', 'ready_at', 'expires_at');
      return (
        row && { id: row.id, createdAt: row.created_at, readyAt: row.ready_at, expiresAt: row.expires_at }
      );
    },

    /** @returns the JSON text in parts; undefined for one of somebody else, one that is gone or not ready */
    async read(actor: Actor & { id: string }, id: string): Promise<AsyncIterable<string> | undefined> {
      const row = isId(id) ? await own(actor).where({ id }).first('ready_at', 'content_sealed') : undefined;
      if (!row?.ready_at) return undefined;
      await recordEvent(db, actor, 'user.export_downloaded', { target: { type: 'user', id: actor.id } });
      return partsOf(actor.tenantId, id, row.content_sealed);
    },

    /** Makes one that waits, if nobody else does. @returns whether there was one */
    async makeNext(): Promise<boolean> {
      return db.transaction(async (trx) => {
        const row: ExportRow | undefined = await trx<ExportRow>('data_exports')
          .whereNull('ready_at')
          .orderBy('created_at')
          .forUpdate()
          .skipLocked()
          .first();
        if (!row) return false;
        const tenant = await tenantStore(trx).find(row.tenant_id);
        const user = await userStore(trx, row.tenant_id).find(row.user_id);
        if (!tenant || !user) {
          await trx('data_exports').where({ id: row.id }).delete();
          return true;
        }

        const owner = { tenantId: row.tenant_id, userId: user.id, email: user.email };
        const { tenant_id, id, created_at } = row;
        await storeParts(trx, { tenant_id, id }, [
          `{"tenant": ${JSON.stringify(tenant.name)}, "requested_at": ${JSON.stringify(created_at)}, "data": `,
          personalData(trx, owner),
          '}\n',
        ]);
        await trx('data_exports')
          .where({ id })
          .update({
            ready_at: trx.fn.now(),
            expires_at: trx.raw('now() + make_interval(days => ?)', [KEPT_DAYS]),
            updated_at: trx.fn.now(),
          });
        await trx('data_exports').where({ tenant_id, user_id: user.id }).whereNot({ id }).delete();
        await recordEvent(trx, systemActor(row.tenant_id), 'user.export_ready', {
          target: { type: 'user', id: user.id },
        });
        await enqueueMail?.(trx, {
          tenantId: row.tenant_id,
          recipient: user.email,
          template: 'data_export_ready',
          locale: row.locale,
          data: { url: `${issuerOf(publicUrl, tenant)}${PORTAL_PATH}/data` },
          idempotencyKey: `data-export:${row.id}`,
          isRequested: false,
        });
        return true;
      });
    },
  };

  async function storeParts(
    trx: Db,
    { tenant_id, id }: Pick<ExportRow, 'tenant_id' | 'id'>,
    pieces: readonly (string | AsyncIterable<string>)[],
  ): Promise<void> {
    let [position, part] = [0, ''];
    const store = async () => {
      const content_sealed = sealer.seal(part, placeOfPart(id, position));
      await trx('data_export_parts').insert({ export_id: id, tenant_id, position, content_sealed });
      [position, part] = [position + 1, ''];
    };
    for (const piece of pieces) {
      for await (const text of typeof piece === 'string' ? [piece] : piece) {
        part += text;
        if (part.length >= PART_SIZE) await store();
      }
    }
    await store();
  }

  /** @param whole of a copy that was made in one piece */
  async function* partsOf(tenantId: string, id: string, whole: string | null): AsyncGenerator<string> {
    if (whole !== null) yield sealer.open(whole, placeOf(id));
    for (let position = 0; ; position += 1) {
      const row = await db('data_export_parts')
        .where({ tenant_id: tenantId, export_id: id, position })
        .first('content_sealed');
      if (!row) {
        // Half of a copy must not look like all of it.
        const isThere = await db('data_exports').where({ tenant_id: tenantId, id }).first('id');
        if (!isThere) throw new Error('a copy of data ended while it was sent');
        return;
      }
      yield sealer.open(row.content_sealed, placeOfPart(id, position));
    }
  }
}

interface ExportRow {
  id: string;
  tenant_id: string;
  user_id: string;
  locale: string;
  content_sealed: string | null;
  ready_at: Date | null;
  expires_at: Date;
  created_at: Date;
}
