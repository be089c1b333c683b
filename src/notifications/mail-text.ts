import type { MailContent } from './render-mail.ts';

/** The plain text of a mail: the code comes first, where lists of mails show the beginning. */
export function mailText({ preview, heading, lead, code, action, after, footer }: MailContent): string {
  const parts = [
    ...(code ? [preview] : []),
    heading,
    lead,
    ...(action ? [[action.lead || action.text, action.url].filter(Boolean).join('\n')] : []),
    after,
    `-- \n${footer}`,
  ];
  return `${parts.join('\n\n')}\n`;
}
