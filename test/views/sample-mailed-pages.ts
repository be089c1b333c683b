import type { createViews } from '../../src/http/views.ts';
import type { PageWriter } from '../../src/i18n/request-language.ts';
import { createLinkPages } from '../../src/interactions/link-pages.ts';
import { createMailedPages } from '../../src/interactions/mailed-pages.ts';
import type { Words } from './sample-pages.ts';

/** The screens of recovery, sign-up and codes, and those that links of mails open, in every state. */
export function sampleMailedPages(
  views: ReturnType<typeof createViews>,
  words: Words,
  language: PageWriter,
): [name: string, html: string][] {
  const mailed = createMailedPages({ views });
  const links = createLinkPages({ views });
  const tenant = { name: words.tenant };
  const form = { action: '/posted', csrf: 'nonce.token' };
  const common = { app: { name: words.app }, tenant, form, email: words.email, cancelHref: '/cancel' };
  const send = {
    ...common,
    kind: 'forgot',
    isConfirmation: false,
    reason: null,
    error: null,
    changeHref: '/change',
    signInHref: '/sign-in',
  } as const;
  const code = {
    ...common,
    purpose: 'password_reset',
    resendForm: form,
    error: null,
    resendSeconds: 30,
    changeHref: '/change',
  } as const;
  const rules = { minLength: 15, maxLength: 256 };
  const choose = { ...common, fields: [], password: rules, error: null } as const;
  const open = { tenant, form, token: 'secret', email: words.email, password: rules, faults: [] };
  const tooShort = {
    path: '/password',
    code: 'password.too_short',
    message: 'Use at least 15 characters.',
    values: { min: 15, length: 5 },
  };
  const end = { tenant, app: { name: words.app, href: words.url }, renew: null };

  return [
    ['forgot', mailed.sendPage(language, send)],
    ['forgot-malformed', mailed.sendPage(language, { ...send, error: { reason: 'email_malformed' } })],
    ['sign-up', mailed.sendPage(language, { ...send, kind: 'sign_up' })],
    ['email-code', mailed.sendPage(language, { ...send, kind: 'email_code' })],
    [
      'email-code-confirm',
      mailed.sendPage(language, {
        ...send,
        kind: 'email_code',
        isConfirmation: true,
        reason: 'first_password',
      }),
    ],
    ['code', mailed.codePage(language, code)],
    ['code-wrong', mailed.codePage(language, { ...code, error: { reason: 'code_wrong' }, resendSeconds: 0 })],
    [
      'code-throttled',
      mailed.codePage(language, { ...code, error: { reason: 'tries_throttled', retryAfterSeconds: 40 } }),
    ],
    ['own-password', mailed.choosePage(language, { ...choose, kind: 'own_password' })],
    ['new-password', mailed.choosePage(language, { ...choose, kind: 'new_password' })],
    [
      'sign-up-profile-errors',
      mailed.choosePage(language, {
        ...choose,
        kind: 'sign_up_profile',
        fields: [{ name: 'name', value: words.text }],
        error: {
          reason: 'fields',
          faults: [{ path: '/claims/name', code: 'sign_up.field_unusable', message: '' }, tooShort],
        },
      }),
    ],
    [
      'profile',
      mailed.profilePage(language, {
        ...common,
        skipForm: form,
        fields: [{ name: 'phone_number', value: words.text }],
        error: null,
      }),
    ],
    [
      'profile-errors',
      mailed.profilePage(language, {
        ...common,
        skipForm: form,
        fields: [{ name: 'name', value: words.text }],
        error: {
          reason: 'fields',
          faults: [{ path: '/claims/name', code: 'sign_up.field_unusable', message: '' }],
        },
      }),
    ],
    ['mail-link', mailed.linkPage(language, { ...common, token: 'secret' })],
    ['reset-link', links.openPage(language, { ...open, kind: 'password_reset', faults: [tooShort] })],
    ['invitation', links.openPage(language, { ...open, kind: 'invitation' })],
    ['undo-link', links.openPage(language, { ...open, kind: 'email_change_undo' })],
    ['verify-link', links.openPage(language, { ...open, kind: 'verify_email' })],
    ['unlock-link', links.openPage(language, { ...open, kind: 'unlock' })],
    ['link-done', links.endPage(language, { ...end, kind: 'password_reset' })],
    [
      'link-expired',
      links.endPage(language, { ...end, kind: 'expired', app: null, renew: { form, token: 'secret' } }),
    ],
    ['link-taken', links.endPage(language, { ...end, kind: 'taken' })],
  ];
}
