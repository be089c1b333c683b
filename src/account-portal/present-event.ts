import type { UserEvent } from '../events/user-events.ts';
import type { Translator } from '../i18n/translations.ts';
import { describeDevice } from '../sessions/device.ts';
import { deviceText } from './device-text.ts';

/** An event in a sentence that the person it happened to understands. */
export function presentEvent(event: UserEvent, translator: Translator) {
  return {
    text: textOf(event, translator),
    at: event.at,
    // Where an administrator works is nobody's business.
    by: event.byUser ? null : translator.t('account.activity.not_you'),
    device: event.byUser && event.userAgent ? deviceText(describeDevice(event.userAgent), translator) : null,
    ip: event.ip,
  };
}

function textOf({ type, reason, aboutUser }: UserEvent, { t, has }: Translator): string {
  if (!aboutUser) return t('account.event.of_another', { type });
  const key = `account.event.${type.replaceAll('.', '_')}`;
  const withReason = `${key}_${reason ?? ''}`;
  if (has(withReason)) return t(withReason);
  return has(key) ? t(key, { reason: reason ?? '' }) : t('account.event.other', { type });
}
