import { prepared } from '../db/database.ts';
import type { Db } from '../db/database.ts';
import type { Actor } from '../http/actor.ts';
import { addressOrNull } from '../lib/networks.ts';
import { serializeEventData } from './event-data.ts';
import { newEventId } from './event-id.ts';
import type { EventType } from './event-types.ts';

/**
 * Writes what happened: one row that is both the audit record and the outbox entry. It owns the
 * `events` table's inserts; reading, exporting and delivering belong to others.
 */

const MAX_USER_AGENT = 512;
const MAX_TEXT = 256;

export interface EventDetail {
  target?: { type: string; id: string };
  /** An enumerated reason, such as the sign-in failure; never free text a visitor typed. */
  reason?: string;
  /** JSON: before and after, counts, names. No secrets; see `serializeEventData`. */
  data?: Record<string, unknown>;
}

/**
 * @param trx the transaction of the change itself, so that neither commits without the other
 * @param actor who did it, in which tenant; address and user agent are taken from here
 * @throws {TypeError} when `data` holds what must not or cannot be recorded
 */
export async function recordEvent(
  trx: Db,
  actor: Actor,
  type: EventType,
  detail: EventDetail = {},
): Promise<void> {
  await prepared(trx, 'record-event', INSERT_EVENT, eventRow(actor, type, detail));
}

/** For a statement that does more than to record; takes `eventRow`, and a condition may follow. */
export const INSERT_EVENT = `
  INSERT INTO events (id, tenant_id, type, actor_type, actor_id, target_type, target_id, reason, data,
    ip, user_agent, correlation_id)
  SELECT ?::uuid, ?::uuid, ?::text, ?::text, ?::text, ?::text, ?::text, ?::text, ?::jsonb,
    ?::inet, ?::text, ?::text`;

/** @throws as `recordEvent` */
export function eventRow(
  actor: Actor,
  type: EventType,
  { target, reason, data = {} }: EventDetail = {},
): (string | null)[] {
  return [
    newEventId(),
    actor.tenantId,
    type,
    actor.type,
    textOrNull(actor.id, MAX_TEXT),
    textOrNull(target?.type, MAX_TEXT),
    textOrNull(target?.id, MAX_TEXT),
    textOrNull(reason, MAX_TEXT),
    serializeEventData(data),
    addressOrNull(actor.ip),
    textOrNull(actor.userAgent, MAX_USER_AGENT),
    textOrNull(actor.correlationId, MAX_TEXT),
  ];
}

/** The same for many targets at once, in one statement. */
export async function recordEvents(
  trx: Db,
  actor: Actor,
  type: EventType,
  details: readonly EventDetail[],
): Promise<void> {
  if (details.length === 0) return;
  await trx.raw(
    `INSERT INTO events (id, tenant_id, type, actor_type, actor_id, target_type, target_id, reason, data,
       ip, user_agent, correlation_id)
     SELECT e.id, ?, ?, ?, ?, e.target_type, e.target_id, e.reason, e.data::jsonb, ?::inet, ?, ?
       FROM jsonb_to_recordset(?::jsonb) AS e(id uuid, target_type text, target_id text, reason text, data text)`,
    [
      actor.tenantId,
      type,
      actor.type,
      textOrNull(actor.id, MAX_TEXT),
      addressOrNull(actor.ip),
      textOrNull(actor.userAgent, MAX_USER_AGENT),
      textOrNull(actor.correlationId, MAX_TEXT),
      JSON.stringify(
        details.map(({ target, reason, data = {} }) => ({
          id: newEventId(),
          target_type: textOrNull(target?.type, MAX_TEXT),
          target_id: textOrNull(target?.id, MAX_TEXT),
          reason: textOrNull(reason, MAX_TEXT),
          data: serializeEventData(data),
        })),
      ),
    ],
  );
}

/** PostgreSQL refuses NUL in text; a visitor must not be able to make the audit insert fail. */
function textOrNull(text: string | undefined, maxLength: number): string | null {
  return text === undefined ? null : text.replaceAll('\0', '\ufffd').slice(0, maxLength).toWellFormed();
}
