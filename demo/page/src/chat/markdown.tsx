import { Fragment, type ReactNode } from "react";

/** The little Markdown that answers use: paragraphs, lists, tables as they are, code, and bold. Never HTML. */
export function Markdown({ text }: { text: string }) {
  // Every odd part stands between two fences; while an answer arrives, the last fence may still be open.
  const parts = text.split(/^```.*\n?/m);
  return parts.map((part, at) => {
    if (part.trim() === "") return null;
    const code = at % 2 === 1;
    // biome-ignore lint/suspicious/noArrayIndexKey: text only grows at its end
    return code ? <Code key={at} text={part} /> : <Paragraphs key={at} text={part} />;
  });
}

function Code({ text }: { text: string }) {
  return (
    <pre>
      <code>{text.replace(/\n$/, "")}</code>
    </pre>
  );
}

function Paragraphs({ text }: { text: string }) {
  const blocks = text.split(/\n{2,}/).filter((block) => block.trim() !== "");
  return blocks.map((block, at) => {
    const key = `${at}`;
    if (/^\s*\|/.test(block)) return <Code key={key} text={block} />;
    const items = block.split(/\n(?=\s*(?:[-*]|\d+\.)\s)/);
    if (/^\s*(?:[-*]|\d+\.)\s/.test(block)) return <List key={key} items={items} />;
    return (
      <p key={key} className="prose">
        {inline(block)}
      </p>
    );
  });
}

function List({ items }: { items: readonly string[] }) {
  return (
    <ul>
      {items.map((item, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: text only grows at its end
        <li key={at}>{inline(item.replace(/^\s*(?:[-*]|\d+\.)\s+/, ""))}</li>
      ))}
    </ul>
  );
}

/** Code, bold, and links as their words: an answer's addresses are relative to its document, not to this page. */
function inline(text: string): ReactNode[] {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))/).map((part, at) => {
    const key = `${at}`;
    if (part.startsWith("`") && part.length > 2) return <code key={key}>{part.slice(1, -1)}</code>;
    if (part.startsWith("**") && part.length > 4) return <strong key={key}>{part.slice(2, -2)}</strong>;
    const link = /^\[([^\]]+)\]\(/.exec(part)?.[1];
    return <Fragment key={key}>{link === undefined ? part : inline(link)}</Fragment>;
  });
}
