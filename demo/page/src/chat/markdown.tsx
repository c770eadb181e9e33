import { Fragment, type ReactNode } from "react";

/** The little Markdown that answers use: paragraphs, lists, tables, code, and bold. Never HTML. */
export function Markdown({ text }: { text: string }) {
  // Every odd part stands between two fences; while an answer arrives, the last fence may still be open.
  const parts = text.split(/^```.*\n?/m);
  return keyed(parts).map(({ key, item }) => {
    if (item.trim() === "") return null;
    return Number(key) % 2 === 1 ? <Code key={key} text={item} /> : <Blocks key={key} text={item} />;
  });
}

/** Text only grows at its end, so that a part's place is its identity. */
function keyed<T>(items: readonly T[]): { key: string; item: T }[] {
  return items.map((item, at) => ({ key: String(at), item }));
}

function Code({ text }: { text: string }) {
  return (
    <pre>
      <code>{text.replace(/\n$/, "")}</code>
    </pre>
  );
}

function Blocks({ text }: { text: string }) {
  const blocks = apart(text)
    .split(/\n{2,}/)
    .filter((block) => block.trim() !== "");
  return keyed(blocks).map(({ key, item }) => {
    const heading = /^#{1,6}\s+(.*)$/.exec(item.trim())?.[1];
    if (heading !== undefined) return <Paragraph key={key} text={`**${heading}**`} />;
    if (/^\s*\|/.test(item)) return <Table key={key} rows={item.trim().split("\n")} />;
    if (/^\s*(?:[-*]|\d+\.)\s/.test(item)) return <List key={key} text={item} />;
    return <Paragraph key={key} text={item.trim()} />;
  });
}

/** Puts the blank lines that may be missing around headings and before lists. */
function apart(text: string): string {
  return text
    .replace(/^(#{1,6}\s.*)$/gm, "\n\n$1\n\n")
    .replace(/^((?!\s|[-*]\s|\d+\.\s).+)\n(?=(?:[-*]|\d+\.)\s)/gm, "$1\n\n");
}

function Paragraph({ text }: { text: string }) {
  return <p>{inline(text)}</p>;
}

/** The second row only draws the line; while the table arrives, there may be less than that. */
function Table({ rows }: { rows: readonly string[] }) {
  const [head = [], , ...body] = rows.map(cellsOf);
  return (
    <div className="table">
      <table>
        <thead>
          <tr>
            {keyed(head).map(({ key, item }) => (
              <th key={key}>{inline(item)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {keyed(body).map(({ key: row, item: cells }) => (
            <tr key={row}>
              {keyed(cells).map(({ key, item }) => (
                <td key={key}>{inline(item)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The cells of `| a | b |`. A bar within a cell has a backslash before it. */
function cellsOf(row: string): string[] {
  const inner = row.trim().replace(/^\||\|$/g, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function List({ text }: { text: string }) {
  const items = text.split(/\n(?=\s*(?:[-*]|\d+\.)\s)/);
  return (
    <ul>
      {keyed(items).map(({ key, item }) => (
        <li key={key}>{inline(item.replace(/^\s*(?:[-*]|\d+\.)\s+/, ""))}</li>
      ))}
    </ul>
  );
}

/** Code, bold, and links as their words: an answer's addresses are relative to its document, not to this page. */
function inline(text: string): ReactNode[] {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))/);
  return keyed(parts).map(({ key, item }) => {
    if (item.startsWith("`") && item.length > 2) return <code key={key}>{item.slice(1, -1)}</code>;
    if (item.startsWith("**") && item.length > 4) return <strong key={key}>{item.slice(2, -2)}</strong>;
    const link = /^\[([^\]]+)\]\(/.exec(item)?.[1];
    return <Fragment key={key}>{link === undefined ? item : inline(link)}</Fragment>;
  });
}
