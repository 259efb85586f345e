/** Just enough roff for our pages. Text is escaped here and nowhere else. */

export const roff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .split('\n')
    .map((line) => (line.startsWith('.') ? `\\&${line}` : line))
    .join('\n');

export const header = (name: string, section: number, title: string, version: string): string =>
  `.\\" Made by "npm run man"; edit its source instead.\n.TH "${name.toUpperCase()}" "${section}" "" "deye ${version}" "${title}"`;
export const heading = (text: string): string => `.SH ${roff(text.toUpperCase())}`;
export const subheading = (text: string): string => `.SS ${roff(text)}`;
export const paragraph = (text: string): string => `.PP\n${roff(text)}`;
export const term = (name: string, text: string): string => `.TP\n\\fB${roff(name)}\\fR\n${roff(text)}`;
export const example = (text: string): string => `.PP\n.RS 4\n.nf\n${roff(text)}\n.fi\n.RE`;
export const page = (...parts: readonly string[]): string => `${parts.join('\n')}\n`;
