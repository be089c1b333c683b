/** Plain text for people. Machines get `--json`. */

/** Columns as wide as their widest cell. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows].map((line) => line.map(printable));
  const widths = header.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** One name and value a line; what has no value is left out. */
export function details(values: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(values).flatMap(([name, value]) => {
    const text = valueText(value);
    return text === '' ? [] : [[name, text] as const];
  });
  const width = Math.max(0, ...lines.map(([name]) => name.length));
  return lines.map(([name, text]) => `${name.padEnd(width)}  ${printable(text)}`).join('\n');
}

export function dateText(date: Date | null): string {
  return date === null ? '' : date.toISOString();
}

/** As `details` shows it: lists with blanks between, other structures as JSON, nothing for null. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (value instanceof Date) return dateText(value);
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.join(' ');
  return JSON.stringify(value);
}

/** A name or an address is somebody else's text: it must not drive the operator's terminal. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '\u{fffd}');
}
