import { type ComponentType, createElement, Component, type VNode } from "preact";

/** Draws a component again only when one of its properties is another value. */
export function memo<Props extends object>(inner: (props: Props) => VNode): ComponentType<Props> {
  class Memo extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
      const keys = new Set([...Object.keys(this.props), ...Object.keys(next)]);
      return [...keys].some(
        (key) =>
          (this.props as Record<string, unknown>)[key] !== (next as Record<string, unknown>)[key],
      );
    }

    override render(props: Props): VNode {
      return createElement(inner as ComponentType<object>, props);
    }
  }
  return Memo;
}
