import { matchLocale } from '../i18n/negotiate.ts';
import { SOURCE_LOCALE } from '../i18n/translations.ts';
import type { Translations } from '../i18n/translations.ts';
import type { MailData, MailTemplate, RenderedMail } from './mail.ts';
import { mailHtml } from './mail-html.ts';
import { mailText } from './mail-text.ts';

/** What both forms of a mail show, in this order; empty parts are left out. */
export interface MailContent {
  language: { locale: string; dir: 'ltr' | 'rtl' };
  tenant: string;
  /** What a list of mails shows beside the subject: the code, so that nobody needs to open the mail. */
  preview: string;
  heading: string;
  lead: string;
  code: { label: string; text: string } | undefined;
  action: { lead: string; text: string; url: string } | undefined;
  after: string;
  footer: string;
}

/** Their link goes on with what one browser has begun, and in others only says so. */
const BOUND = new Set<MailTemplate>(['sign_up', 'sign_in_code']);

/** Puts a mail into words, as plain text and as HTML that says the same. */
export function createMailRenderer({ translations }: { translations: Translations }) {
  return (
    tenant: { name: string },
    { template, locale, recipient }: { template: MailTemplate; locale: string; recipient: string },
    data: MailData,
  ): RenderedMail => {
    // A language can have gone since the mail was made, and people may have saved a variant of one.
    const language = translations.for(matchLocale(locale, translations.locales) ?? SOURCE_LOCALE);
    const { t } = language;
    const { code, url } = data;
    const values = { tenant: tenant.name, address: data.address ?? recipient };
    const lead = t(`mail.lead.${template}`, values);

    const leadOf = (of: MailTemplate) => (BOUND.has(of) ? t('mail.link_lead_here') : t('mail.link_lead'));

    const content: MailContent = {
      language,
      tenant: tenant.name,
      preview: code === undefined ? lead : t('mail.code_preview', { code }),
      heading: t(`mail.heading.${template}`),
      lead,
      code: code === undefined ? undefined : { label: t('mail.code_label'), text: code },
      action:
        url === undefined
          ? undefined
          : { lead: code === undefined ? '' : leadOf(template), text: t(`mail.action.${template}`), url },
      after: t(`mail.after.${template}`, values),
      footer: t('mail.footer', values),
    };
    return {
      subject: t(`mail.subject.${template}`, values),
      text: mailText(content),
      html: mailHtml(content),
    };
  };
}
