/**
 * Cells that begin so are run as formulas by spreadsheets. An apostrophe in front keeps them text; it is taken off again
 * when such a file is imported, so that nothing is changed on the way.
 */
const FORMULA = /^[=+\-@\t\r']/;

export function toCell(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function fromCell(cell: string): string {
  return cell.startsWith("'") && FORMULA.test(cell.slice(1)) ? cell.slice(1) : cell;
}
