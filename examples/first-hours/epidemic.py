"""An epidemic in 50 regions with three age groups: a rate for each region, and contacts between the groups for all."""

import numpy as np

import simsplit

CONTACTS = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 1.0], [0.5, 1.0, 2.0]]) / 3
GAMMA = 0.2  # recoveries a day


def rates(x, beta, contacts):
    """Return the change a day of the shares of susceptible and infected people, shape (m, 2, 3)."""
    susceptible, infected = x[:, 0], x[:, 1]
    infections = beta[:, 0] * susceptible * np.einsum("ij,mj->mi", contacts, infected)
    return np.stack([-infections, infections - GAMMA * infected], axis=1)


def day_by_day(x, delta_t, beta, contacts):
    """Make one step by the classical method of Runge and Kutta."""
    k1 = rates(x, beta, contacts)
    k2 = rates(x + delta_t / 2 * k1, beta, contacts)
    k3 = rates(x + delta_t / 2 * k2, beta, contacts)
    k4 = rates(x + delta_t * k3, beta, contacts)
    return x + delta_t / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def main():
    """Run 100 days on all ranks, and print what rank 0 has of the first and the last region."""
    beta = np.linspace(0.1, 0.5, 50)
    initial = np.zeros((50, 2, 3))
    initial[:, 0], initial[:, 1] = 0.999, 0.001
    kernel = simsplit.kernels.function(day_by_day, kind="step", beta=beta, contacts=simsplit.kernels.constant(CONTACTS))
    result = simsplit.run(simsplit.Problem(initial, kernel, delta_t=0.05, steps=2001, keep="every:20"), verify=True)
    if result.history is not None:  # on root
        for region in (0, 49):
            print(*(f"{1 - share:.9f}" for share in result.history[-1, region, 0]))
        print(result.verification)


if __name__ == "__main__":
    simsplit.script(main)
