import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useContext,
  useInsertionEffect,
} from "react";
import { createStreamRegistry, type StreamDefaults, type StreamRegistry } from "../client/index.ts";
import { appStreams, keyOf, toOptions } from "../client/stream-request.ts";
import { doNothing, useKept } from "./use-kept.ts";

/** Where hooks open their streams. */
export interface HookScope {
  readonly registry: StreamRegistry;
  /** What requests have for their defaults, with the latest functions. */
  readonly ask: () => StreamDefaults | undefined;
  /** Whether the provider is not mounted yet: it may be thrown away, with whatever it holds. */
  readonly isPending?: boolean;
  /** Called when it is mounted. */
  onMount?: (() => void) | undefined;
}

/** The scope of the nearest provider, or the application's. */
export const ScopeContext = /* @__PURE__ */ createContext<HookScope>({
  registry: appStreams,
  ask: doNothing as () => undefined,
});

/** Defaults for the requests of all hooks below, and where these find each other's streams. */
export interface EverstreamProviderProps extends StreamDefaults {
  readonly children?: ReactNode;
  /**
   * The streams that components share, made by `createStreamRegistry` outside of components. Default: one of the provider's
   * own.
   */
  readonly registry?: StreamRegistry | undefined;
}

/**
 * Gives all hooks below it a registry of streams of their own, and defaults: a base URL, headers, `fetch`, waits. They
 * are compared by value, functions among them are the latest, so that all of it may be written in place. A provider within
 * another one inherits its defaults.
 */
export function EverstreamProvider({ children, registry, ...props }: EverstreamProviderProps): ReactElement {
  const outer = useContext(ScopeContext);
  const ask = () => toOptions({ url: "", ...props }, outer.ask());
  // Compared by value. With other values all streams are other ones.
  const scope = useKept(keyOf(ask()), registry, ask, (latest): Writable<HookScope> => {
    return {
      registry: registry ?? createStreamRegistry(),
      isPending: !registry,
      ask: () => latest()(),
    };
  });
  useInsertionEffect(() => {
    scope.isPending = false;
    scope.onMount?.();
  });
  return createElement(ScopeContext.Provider, { value: scope }, children);
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
