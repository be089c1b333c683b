import type { UserEvent } from '../events/user-events.ts';
import type { Translator } from '../i18n/translations.ts';
import { describeDevice } from '../sessions/device.ts';
import { deviceText } from './device-text.ts';

/** An event in a sentence that the person it happened to understands. */
export function presentEvent(event: UserEvent, translator: Translator) {
  const { t, has } = translator;
  const key = `account.event.${event.type.replaceAll('.', '_')}`;
  const withReason = `${key}_${event.reason ?? ''}`;
  return {
    text: has(withReason)
      ? t(withReason)
      : has(key)
        ? t(key)
        : t('account.event.other', { type: event.type }),
    at: event.at,
    // Where an administrator works is nobody's business.
    by: event.byUser ? null : t('account.activity.not_you'),
    device: event.byUser && event.userAgent ? deviceText(describeDevice(event.userAgent), translator) : null,
    ip: event.ip,
  };
}
