"""How important the blocks of a supernet are, learnt on its weights, and the way down from its largest network that
follows: EfficientFormer (Li et al. 2022), section 3.3."""

from .learning import Learn, Progress, learning_on
from .trajectory import Trajectory, slim
from .worth import Importances, Worth

__all__ = ["Importances", "Learn", "Progress", "Trajectory", "Worth", "learning_on", "slim"]
