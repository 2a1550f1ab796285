// What part of the graph is in view, and how large its labels are there.

const FEW_NODES = 60; // whose labels have room to stay legible when the whole graph is in view
const LEGIBLE = { few: 10, suspect: 11 }; // px on the screen
const FONT = 11; // of style.js
const MARGIN = 40; // px around the whole graph
const CLOSEST = 1.4; // that a few nodes are enlarged to

export class Camera {
  /** @param cy Cytoscape's instance */
  constructor(cy) {
    this.cy = cy;
    this.isMoved = false; // whether the user chose what part of the graph is in view
  }

  /** Show the whole graph. */
  fit() {
    const { cy } = this;
    if (!cy.width() || cy.elements().empty()) return;
    cy.fit(cy.nodes(), MARGIN);
    if (cy.zoom() > CLOSEST) {
      cy.zoom(CLOSEST);
      cy.center();
    }
    this.isMoved = false;
  }

  /** Enlarge the graph by a factor around the middle of the view. */
  zoom(factor) {
    const { cy } = this;
    this.isMoved = true;
    cy.zoom({ level: cy.zoom() * factor, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
  }

  /** Whether all of these nodes are in view. */
  sees(ids) {
    const { x1, y1, x2, y2 } = this.cy.extent();
    return ids.every((id) => {
      const { x, y } = this.cy.getElementById(id).position();
      return x > x1 && x < x2 && y > y1 && y < y2;
    });
  }

  /** Keep the labels of a few nodes, and that of the suspect, legible at this zoom. */
  sizeLabels() {
    const { cy } = this;
    const size = (least) => Math.max(FONT, least / cy.zoom());
    cy.batch(() => {
      if (cy.nodes().length <= FEW_NODES) cy.nodes().style("font-size", size(LEGIBLE.few));
      else cy.nodes().removeStyle("font-size");
      cy.nodes("[?suspect]").style("font-size", size(LEGIBLE.suspect));
    });
  }
}
