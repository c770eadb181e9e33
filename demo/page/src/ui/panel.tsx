import { type ReactNode, type RefObject, useId } from "react";

interface PanelProps {
  readonly title: string;
  /** The routes that the panel talks to. */
  readonly routes: readonly string[];
  readonly lead: string;
  /** What travels, shown beside the panel's own content. */
  readonly wire: ReactNode;
  readonly children: ReactNode;
  /** Where the panel is, for who asks whether it is in view. */
  readonly place?: RefObject<HTMLElement | null>;
}

/** One stream of the page: what it is for on one side, what travels on the other. */
export function Panel({ title, routes, lead, wire, children, place }: PanelProps) {
  const heading = useId();
  return (
    <section ref={place} className="panel" aria-labelledby={heading}>
      <header className="panel-head">
        <h2 id={heading}>{title}</h2>
        <p>{lead}</p>
        <p className="routes">
          {routes.map((route) => (
            <code key={route}>{route}</code>
          ))}
        </p>
      </header>
      <div className="panel-body">{children}</div>
      <div className="panel-wire">{wire}</div>
    </section>
  );
}
