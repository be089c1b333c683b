import type { Translator } from '../i18n/translations.ts';
import type { Device } from '../sessions/device.ts';

/** Such as `Firefox on Linux`. */
export function deviceText({ browser, os }: Pick<Device, 'browser' | 'os'>, { t }: Translator): string {
  if (browser && os) return t('account.device.both', { browser, os });
  return browser ?? os ?? t('account.device.unknown');
}
