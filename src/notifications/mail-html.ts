import ejs from 'ejs';
import type { MailContent } from './render-mail.ts';

const escape = (text: string): string => ejs.escapeXML(text);

// The tokens of views/assets/gatehouse.css as literals: few mail programs know custom properties.
const STYLE = `
  .bg { background: #f6f7f9; } .card { background: #ffffff; border: 1px solid #dee2e8; }
  .text { color: #16191f; } .muted { color: #525a67; }
  .code { color: #16191f; background: #f6f7f9; border: 1px solid #dee2e8; }
  .button { background: #1f5fd6; color: #ffffff; } .link { color: #1f5fd6; }
  @media (prefers-color-scheme: dark) {
    .bg { background: #0f1217 !important; } .card { background: #181c23 !important; border-color: #2a303a !important; }
    .text { color: #eceef2 !important; } .muted { color: #a3abb8 !important; }
    .code { color: #eceef2 !important; background: #0f1217 !important; border-color: #2a303a !important; }
    .button { background: #8ab4ff !important; color: #0b1a33 !important; } .link { color: #8ab4ff !important; }
  }`;

const FONT = 'font-family:system-ui,-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif;';

/**
 * The HTML of a mail: one column, no images, nothing loaded from anywhere, readable where styles are
 * stripped. Everything that comes from people is escaped.
 */
export function mailHtml(content: MailContent): string {
  const { language, tenant, preview, heading, lead, code, action, after, footer } = content;
  const paragraph = (text: string, kind = 'text', style = '') =>
    `<p class="${kind}" style="margin:0 0 16px;font-size:16px;line-height:1.5;${style}">${escape(text)}</p>`;

  const body = [
    `<h1 class="text" style="margin:0 0 16px;font-size:22px;line-height:1.3;">${escape(heading)}</h1>`,
    paragraph(lead),
    code &&
      `<p class="code" dir="ltr" aria-label="${escape(code.label)}" style="margin:0 0 24px;padding:16px;border-radius:8px;text-align:center;font-size:32px;letter-spacing:6px;font-family:ui-monospace,Menlo,Consolas,monospace;">${escape(code.text)}</p>`,
    action && actionHtml(action),
    paragraph(after, 'muted', 'margin-bottom:0;font-size:14px;'),
  ];
  return `<!doctype html>
<html lang="${escape(language.locale)}" dir="${language.dir}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${escape(heading)}</title>
<style>${STYLE}</style>
</head>
<body class="bg" style="margin:0;padding:0;${FONT}">
<div style="display:none;max-height:0;overflow:hidden;">${escape(preview)}</div>
<div class="bg" role="article" aria-label="${escape(heading)}" style="padding:32px 16px;">
<div style="max-width:480px;margin:0 auto;">
<p class="text" style="margin:0 0 16px;font-size:16px;font-weight:600;">${escape(tenant)}</p>
<div class="card" style="padding:24px;border-radius:8px;">
${body.filter(Boolean).join('\n')}
</div>
<p class="muted" style="margin:16px 0 0;font-size:13px;line-height:1.5;">${escape(footer)}</p>
</div>
</div>
</body>
</html>
`;
}

function actionHtml({ lead, text, url }: NonNullable<MailContent['action']>): string {
  const href = escape(url);
  return [
    lead && `<p class="muted" style="margin:0 0 12px;font-size:14px;">${escape(lead)}</p>`,
    `<p style="margin:0 0 16px;"><a class="button" href="${href}" style="display:inline-block;padding:12px 20px;border-radius:8px;font-size:16px;font-weight:600;text-decoration:none;">${escape(text)}</a></p>`,
    `<p class="muted" style="margin:0 0 24px;font-size:13px;word-break:break-all;"><a class="link" href="${href}">${href}</a></p>`,
  ]
    .filter(Boolean)
    .join('\n');
}
